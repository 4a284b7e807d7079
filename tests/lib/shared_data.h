/* tests/lib/shared_data.h: data that is not in the tree: of $REGENT_SHARED, or of a folder `shared` beside it. */
#ifndef REGENT_TESTS_LIB_SHARED_DATA_H
#define REGENT_TESTS_LIB_SHARED_DATA_H

#include <jansson.h>

/** A file under data/, unpacked and parsed; NULL: not there (said so). Own. */
json_t *shared_json(const char *name);

#endif
