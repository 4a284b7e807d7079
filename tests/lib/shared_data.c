#include "tests/lib/shared_data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

json_t *shared_json(const char *name)
{
    const char *shared = getenv("REGENT_SHARED");
    const size_t max = 64 << 20;
    char path[4096];
    gzFile file;
    json_t *root;
    char *text;
    int n;

    if (shared != NULL)
        snprintf(path, sizeof path, "%s/data/%s", shared, name);
    else
        snprintf(path, sizeof path, "%s/../shared/data/%s", SOURCE_ROOT, name);
    file = gzopen(path, "rb");
    if (file == NULL) {
        printf("SKIPPED: no %s (set REGENT_SHARED)\n", path);
        return NULL;
    }
    text = malloc(max);
    ck_assert_ptr_nonnull(text);
    n = gzread(file, text, (unsigned)max);
    gzclose(file);
    ck_assert_int_gt(n, 0);
    root = json_loadb(text, (size_t)n, 0, NULL);
    ck_assert_ptr_nonnull(root);
    free(text);
    return root;
}
