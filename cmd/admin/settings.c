/* cmd/admin/settings.c: write durability and the write lease, shown and set at the primary. */
#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"

enum { SETTING_MS_MAX = 60000 };

static void print_durability(struct rg_cli *cli, const json_t *d)
{
    if (rg_json_number(d, "regions") == 0)
        printf("local: a write is acknowledged when the primary region has it durable.\n");
    else
        printf("regions: %lld. A write is acknowledged when %lld other region%s it durable too; %lld of %lld can be "
               "reached. With "
               "fewer: %s.\n",
               rg_json_number(d, "regions"), rg_json_number(d, "regions"), rg_json_number(d, "regions") == 1 ? " has" : "s have",
               rg_json_number(d, "regionsReachable"), rg_json_number(d, "regionsInAll"), rg_json_cstr(d, "onShortage"));
}

static void print_lease(struct rg_cli *cli, const json_t *l)
{
    if (rg_json_number(l, "regions") == 0) {
        printf("off: a primary that is cut off goes on taking writes, which are lost when another region is promoted.\n");
        return;
    }
    printf("%lld other region%s must renew within %g s, or writes stop. ", rg_json_number(l, "regions"),
           rg_json_number(l, "regions") == 1 ? "" : "s", json_number_value(json_object_get(l, "seconds")));
    if (json_object_get(l, "held") == NULL) /* a replica's answer: only a primary holds it */
        printf("Held: not known here.\n");
    else
        printf("Held: %s. Known to every member: %s.\n", rg_json_flag(l, "held") ? "yes" : "no",
               rg_json_flag(l, "settled") ? "yes" : "not yet");
}

static void print_degraded(struct rg_cli *cli, const json_t *d)
{
    json_t *w;
    size_t i;

    json_array_foreach(json_object_get(d, "writes"), i, w)
        printf("%-10lld %-26s %-24s %-20s %lld region%s reachable\n", rg_json_number(w, "index"), rg_json_cstr(w, "at"),
               rg_json_cstr(w, "kind"), rg_json_cstr(w, "by"), rg_json_number(w, "regionsReachable"),
               rg_json_number(w, "regionsReachable") == 1 ? "" : "s");
    printf("%lld write%s acknowledged with fewer regions than the policy wanted.\n", rg_json_number(d, "total"),
           rg_json_number(d, "total") == 1 ? " was" : "s were");
}

static json_t *durability_body(const struct rg_cli *cli)
{
    return json_pack("{s:I, s:s}", "regions", (json_int_t)rg_opt_number(cli, "regions"), "onShortage", rg_opt(cli, "on-shortage"));
}

static enum rg_err lease_check(struct rg_cli *cli)
{
    if (rg_opt_flag(cli, "off") == (rg_opt(cli, "regions") != NULL))
        return rg_fail(&cli->err, RG_EUSAGE, "--regions N or --off: one of them");
    return RG_OK;
}

static json_t *lease_body(const struct rg_cli *cli)
{
    if (rg_opt_flag(cli, "off"))
        return json_pack("{s:i}", "regions", 0);
    return json_pack("{s:I, s:I}", "regions", (json_int_t)rg_opt_number(cli, "regions"), "seconds",
                     (json_int_t)rg_opt_number(cli, "seconds"));
}

static const struct rg_option durability_options[] = {
    {"regions", "N", "other regions that must have a write durable before it is acknowledged; 0: none", .max = 32, .needed = true},
    {"on-shortage", "WHAT", "refuse (the default) or degrade, when too few can be reached", "refuse"},
    {NULL}};

static const struct rg_option lease_options[] = {
    {"regions", "N", "other regions that must renew the lease", .min = 1, .max = 32},
    {"seconds", "S", "within this time, 1 to 60; 5 when not given", "5", .min = 1, .max = 60},
    {"off", NULL, "no lease"},
    {NULL}};

#define DURABILITY .path = "/v1/settings/durability", .timeout_ms = SETTING_MS_MAX, .print = print_durability
#define LEASE .path = "/v1/settings/lease", .timeout_ms = SETTING_MS_MAX, .print = print_lease

const struct rg_command rg_settings_commands[] = {
    {"durability show", "", "In how many other regions a write is durable before it is acknowledged", .who = RG_WHO_READER, DURABILITY},
    {"durability set", "--regions N [--on-shortage refuse|degrade]",
     "Set in how many other regions a write must be durable before it is acknowledged",
     "With 1, a declared promotion loses nothing that was acknowledged. A request may ask for more: Regent-Wait-Regions.\n"
     "Example: regent durability set --regions 1 --on-shortage degrade\n",
     durability_options, .who = RG_WHO_PRIMARY, .method = "PUT", .body = durability_body, DURABILITY},
    {"durability degraded", "", "Writes that were acknowledged with fewer regions", .who = RG_WHO_READER, .path = "/v1/degraded",
     .timeout_ms = SETTING_MS_MAX, .print = print_degraded},
    {"lease show", "", "The write lease: which other regions let the primary take writes", .who = RG_WHO_READER, LEASE},
    {"lease set", "--regions N [--seconds S] | --off", "Set or end the write lease",
     "A primary that fewer than N other regions answered within S seconds stops taking writes; a promotion waits that long.\n"
     "Example: regent lease set --regions 1 --seconds 5\n",
     lease_options, .who = RG_WHO_PRIMARY, .check = lease_check, .method = "PUT", .body = lease_body, LEASE},
    {NULL}};
