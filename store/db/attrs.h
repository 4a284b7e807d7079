/* store/db/attrs.h: the names of what rests in RG_F_ATTRS: one compact JSON object, an attribute a member.
 *
 * They rest under SCIM's names (RFC 7643 §4.1: "name":{"givenName":…}, "emails":[{"value":…}]; website and birthdate, which it does
 * not have, under those of OpenID Connect Core 1.0 §5.1), an extension under its schema's URN. Those written before that was so rest
 * under the names of AWS's members ("Name":{"GivenName":…}, "Extensions":{…}). A name says itself which it is, so both are read, in one
 * object too, and nothing is ever rewritten by reading: apply and the state hash know bytes alone. */
#ifndef REGENT_STORE_DB_ATTRS_H
#define REGENT_STORE_DB_ATTRS_H

#include "base/buf.h"

enum rg_attrs_names { RG_ATTRS_SCIM, RG_ATTRS_AWS };

/* In whose names, and how much of it. */
struct rg_attrs_view {
    enum rg_attrs_names names;
    bool known_only; /* leave out what has no name in the table of attrs.c; else it stays under the name it has */
    bool (*extension)(const void *arg, struct rg_span name); /* which extensions, by AWS's name; NULL: all */
    const void *arg;
};

/**
 * Append the members of an object of attributes, in their order, extensions behind the others, without the braces around them.
 * A comma comes first unless an object has just begun. Values are copied byte for byte but for the names within them.
 * False: attrs is no compact JSON object; nothing was appended.
 */
bool rg_attrs_put(struct rg_buf *out, struct rg_span attrs, const struct rg_attrs_view *view);
/** Append all of it as an object; bytes that are none as they are. */
void rg_attrs_put_object(struct rg_buf *out, struct rg_span attrs, enum rg_attrs_names names);
/** The JSON value of one attribute by its SCIM name ("emails"), as it rests. Borrow from attrs. False: absent. */
bool rg_attrs_get(struct rg_span attrs, const char *name, struct rg_span *ret_value);
/** The text of a member, by the name it has there, of the first object in a compact JSON array. Borrow from it. False: absent, no text, or
 * one with escapes, which a reader must undo. */
bool rg_attrs_first(struct rg_span array, const char *member, struct rg_span *ret_text);

#endif
