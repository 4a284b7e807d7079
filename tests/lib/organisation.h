/* tests/lib/organisation.h: a real organisation, the Kubernetes project's, through commands. It lies in data/kubernetes-org.json.gz of
 * $REGENT_SHARED, or of a folder `shared` beside the source tree. */
#ifndef REGENT_TESTS_LIB_ORGANISATION_H
#define REGENT_TESTS_LIB_ORGANISATION_H

#include <jansson.h>

#include "store/db/env.h"

/* Own; NULL: not here, and said so on standard output. */
json_t *organisation_read(void);
/* Into a store that has an instance, as entries behind index in this term; the last one's index. Ids are seeded. */
uint64_t organisation_load(struct rg_store *store, const json_t *root, uint64_t index, uint64_t term);

#endif
