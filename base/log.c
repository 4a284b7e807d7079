#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void rg_log_event(const struct rg_log *log, enum rg_log_level level, const char *event, const char *fmt, ...)
{
    char keys[1024];
    va_list ap;

    if (log == NULL || log->sink == NULL || level < log->min)
        return;
    va_start(ap, fmt);
    vsnprintf(keys, sizeof keys, fmt, ap);
    va_end(ap);
    for (char *c = keys; *c != '\0'; c++) /* a value from outside must not start a new line */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    log->sink(log->arg, level, event, keys);
}

bool rg_log_level_parse(const char *text, enum rg_log_level *ret_level)
{
    for (size_t i = 0; i < RG_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum rg_log_level)i;
            return true;
        }
    }
    return false;
}

void rg_log_stderr(void *arg, enum rg_log_level level, const char *event, const char *keys)
{
    char line[1400], stamp[RG_TIME_TEXT_MAX];
    int n;

    (void)arg;
    (void)rg_time_format(stamp, rg_clock_wall_ms());
    n = snprintf(line, sizeof line, "%s %s %s %s\n", stamp, level_names[level], event, keys);
    if (n >= (int)sizeof line) {
        n = (int)sizeof line - 1;
        line[n - 1] = '\n';
    }
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return; /* nowhere left to say so */
}
