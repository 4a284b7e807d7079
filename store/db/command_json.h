/* store/db/command_json.h: any command of the log as JSON for people: lost writes, queued writes. */
#ifndef REGENT_STORE_DB_COMMAND_JSON_H
#define REGENT_STORE_DB_COMMAND_JSON_H

#include <jansson.h>

#include "base/buf.h"

/**
 * A command's bytes as an object: "kind" (its name; an unknown one: "kindNumber" too), "at" (ISO 8601), "by", "requestId", then
 * every field under a readable name: UUIDs as text, permission set ids as ps-…, pairs and nested records as objects, fields
 * that may repeat as arrays, sealed secrets by their size alone. What is unknown or no text: {"hex": "…"}; an unknown field is
 * called "field999". Bytes that are no command: {"kind": "?", "malformed": true, "hex": the first bytes}.
 * Total: NULL only without memory. Bounded: a few times the command, which is taken up to RG_CMD_BYTES_MAX.
 * ret: own
 */
json_t *rg_command_json(struct rg_span cmd);

#endif
