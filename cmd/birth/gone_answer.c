#include "cmd/birth/gone_answer.h"

#include <stdio.h>

#include "base/json.h"
#include "raft/standing/gone.h"
#include "store/model/node.h"

static void add_id(struct rg_gone_place *place, uint64_t id)
{
    for (size_t i = 0; i < RG_LEN(place->ids); i++)
        if (place->ids[i] == 0 || place->ids[i] == id) {
            place->ids[i] = id;
            return;
        }
}

void rg_gone_places_add(struct rg_gone_places *places, struct rg_span url, uint64_t id)
{
    struct rg_gone_place *place = NULL;

    if (url.n == 0 || url.n >= sizeof place->url)
        return;
    for (size_t i = 0; i < places->n && place == NULL; i++)
        if (rg_span_is(url, places->at[i].url))
            place = &places->at[i];
    if (place == NULL) {
        if (places->n == RG_LEN(places->at))
            return;
        place = &places->at[places->n++];
        *place = (struct rg_gone_place){.url = ""};
        snprintf(place->url, sizeof place->url, "%.*s", RG_SPAN_ARG(url));
    }
    add_id(place, id);
}

static bool is_at(const struct rg_gone_place *place, uint64_t id)
{
    for (size_t i = 0; i < RG_LEN(place->ids); i++)
        if (place->ids[i] == id)
            return true;
    return false;
}

bool rg_gone_answer(const struct rg_gone_place *place, const char *ours, struct rg_span body, struct rg_gone_told *ret_told)
{
    json_error_t error;
    json_t *json = rg_json_parse(body, &error);
    const char *cluster = json_string_value(json_object_get(json, "cluster"));
    const char *gone = json_string_value(json_object_get(json, "gone"));
    const char *history = json_string_value(json_object_get(json, "history"));
    json_int_t node = rg_json_number(json, "node");
    struct rg_gone_told t = {.node = node > 0 && node <= RG_NODE_ID_MAX ? (uint64_t)node : 0};
    bool blank = gone == NULL && rg_json_flag(json, "empty");
    bool good = t.node != 0 && (gone != NULL || blank) && cluster != NULL && strcmp(cluster, ours) == 0;

    if (good)
        t.row = blank ? RG_GONE_BLANK : rg_gone_of(rg_span_str(gone));
    if (t.row == RG_GONE_BLANK && !is_at(place, t.node)) /* in whatever words */
        good = false;
    if (good && history != NULL && strlen(history) == 2 * sizeof t.history.b && !rg_unhex(t.history.b, history, sizeof t.history.b))
        good = false;
    json_decref(json);
    if (good)
        *ret_told = t;
    return good;
}
