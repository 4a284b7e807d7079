/* tests/lib/tmpdir.h: folders for tests, and a guard that leaves none behind, nor a process, however a test program ends. */
#ifndef REGENT_TESTS_LIB_TMPDIR_H
#define REGENT_TESTS_LIB_TMPDIR_H

#define TMPDIR_BYTES 96 /* a path and its NUL */

/* A new, private, empty folder under $TMPDIR, else under /tmp. Ends the process when there is none to be had. */
void tmpdir_make(char path[TMPDIR_BYTES]);
/* The folder and all that is in it; links are not followed. Ends the process when it cannot be removed. */
void tmpdir_remove(const char *path);
/**
 * Call first in main. Returns in a child, with $TMPDIR a new folder below base (NULL: as above); the caller's own process stays behind
 * as its guard and ends as the child ends: it passes on SIGINT, SIGTERM and SIGHUP, kills what the child has left running, removes the
 * folder. When the child ends well but has left something there, or running, the guard says what and exits with 1.
 */
void tmpdir_guard(const char *base);

#endif
