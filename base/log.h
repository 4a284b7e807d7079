/* base/log.h: event lines, `time level event key=value …`, one write each. Libraries return errors; the shell logs. */
#ifndef REGENT_BASE_LOG_H
#define REGENT_BASE_LOG_H

#include "base/util.h"

enum rg_log_level { RG_LOG_DEBUG, RG_LOG_INFO, RG_LOG_WARN, RG_LOG_ERROR };

/* The sink is the shell's: the simulator records lines, regentd writes them to stderr. Zeroed: silent. */
struct rg_log {
    enum rg_log_level min;
    void (*sink)(void *arg, enum rg_log_level level, const char *event, const char *keys);
    void *arg;
};

/** One event. fmt gives the keys ("peer=%u err=%s"); values with spaces belong in quotes, last. log may be NULL. */
void rg_log_event(const struct rg_log *log, enum rg_log_level level, const char *event, const char *fmt, ...)
    RG_PRINTF(4, 5);
#define rg_log_debug(log, event, ...) rg_log_event(log, RG_LOG_DEBUG, event, __VA_ARGS__)
#define rg_log_info(log, event, ...) rg_log_event(log, RG_LOG_INFO, event, __VA_ARGS__)
#define rg_log_warn(log, event, ...) rg_log_event(log, RG_LOG_WARN, event, __VA_ARGS__)
#define rg_log_error(log, event, ...) rg_log_event(log, RG_LOG_ERROR, event, __VA_ARGS__)

/** Parse "debug", "info", "warn", "error". */
bool rg_log_level_parse(const char *text, enum rg_log_level *ret_level);
/** The sink for programs: RFC 3339 time, level, event and keys to stderr in one write. arg unused. */
void rg_log_stderr(void *arg, enum rg_log_level level, const char *event, const char *keys);

#endif
