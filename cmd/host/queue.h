/* cmd/host/queue.h: first in, first out, through the elements' own `next`; of any one type. Whoever shares one locks around it. */
#ifndef REGENT_CMD_HOST_QUEUE_H
#define REGENT_CMD_HOST_QUEUE_H

#include "base/util.h"

/* RG_QUEUE(rg_task) tasks;  Elements: borrow until they are taken. */
#define RG_QUEUE(type)                                                                                                 \
    struct {                                                                                                           \
        struct type *head, **tail;                                                                                     \
    }
/** Before use, and to forget what is in it. */
#define rg_queue_init(q) ((void)((q)->head = NULL, (q)->tail = &(q)->head))
#define rg_queue_push(q, element)                                                                                      \
    do {                                                                                                               \
        RG_ASSERT((q)->tail != NULL && *(q)->tail == NULL);                                                            \
        (element)->next = NULL;                                                                                        \
        *(q)->tail = (element);                                                                                        \
        (q)->tail = &(element)->next;                                                                                  \
    } while (0)
/** The first of them, no longer in it; NULL: it is empty. */
#define rg_queue_pop(q)                                                                                                \
    __extension__({                                                                                                    \
        __typeof__((q)->head) first_ = (q)->head;                                                                      \
        if (first_ != NULL && ((q)->head = first_->next) == NULL)                                                      \
            (q)->tail = &(q)->head;                                                                                    \
        first_;                                                                                                        \
    })
/** All of them, as a list; it is empty then. */
#define rg_queue_take(q)                                                                                               \
    __extension__({                                                                                                    \
        __typeof__((q)->head) all_ = (q)->head;                                                                        \
        rg_queue_init(q);                                                                                              \
        all_;                                                                                                          \
    })
/** for each element of a taken list, which may be gone when its turn is over: rg_queue_each(task, tasks) task->run(task); */
#define rg_queue_each(element, list)                                                                                   \
    for (__typeof__(list) rest_##element = (list), element;                                                            \
         (element = rest_##element) != NULL && (rest_##element = element->next, true);)

#endif
