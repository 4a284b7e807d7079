/* cmd/host/queue: first in, first out, however it is emptied; what is taken may go while the others wait their turn. */
#include "cmd/host/queue.h"
#include "tests/lib/check_main.h"

struct item {
    struct item *next;
    unsigned number;
};

static RG_QUEUE(item) queue;
static struct item items[8];

static void setup(void)
{
    rg_queue_init(&queue);
    for (unsigned i = 0; i < RG_LEN(items); i++)
        items[i] = (struct item){.next = &items[0], .number = i}; /* whatever it was part of before */
}

CASE(.setup = setup);

TEST(one_by_one)
{
    ck_assert_ptr_null(rg_queue_pop(&queue));
    for (unsigned round = 0; round < 3; round++) { /* filled and emptied again and again */
        for (unsigned i = 0; i < RG_LEN(items); i++)
            rg_queue_push(&queue, &items[i]);
        for (unsigned i = 0; i < RG_LEN(items); i++)
            ck_assert_ptr_eq(rg_queue_pop(&queue), &items[i]);
        ck_assert_ptr_null(rg_queue_pop(&queue));
    }
    rg_queue_push(&queue, &items[0]);
    rg_queue_push(&queue, &items[1]);
    ck_assert_ptr_eq(rg_queue_pop(&queue), &items[0]);
    rg_queue_push(&queue, &items[0]); /* behind what is left */
    ck_assert_ptr_eq(rg_queue_pop(&queue), &items[1]);
    ck_assert_ptr_eq(rg_queue_pop(&queue), &items[0]);
    ck_assert_ptr_null(rg_queue_pop(&queue));
}

TEST(all_at_once)
{
    struct item *list;
    unsigned n = 0;

    ck_assert_ptr_null(rg_queue_take(&queue));
    for (unsigned i = 0; i < 4; i++)
        rg_queue_push(&queue, &items[i]);
    list = rg_queue_take(&queue);
    ck_assert_ptr_null(rg_queue_pop(&queue));
    for (unsigned i = 4; i < 6; i++)
        rg_queue_push(&queue, &items[i]);
    rg_queue_each(item, list) {
        ck_assert_uint_eq(item->number, n++);
        item->next = NULL; /* gone, or in another queue */
        rg_queue_push(&queue, item);
    }
    ck_assert_uint_eq(n, 4);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(rg_queue_pop(&queue)->number, (i + 4) % 6);
}

TEST(nothing_is_no_turn)
{
    struct item *none = NULL;

    rg_queue_each(item, none)
        ck_abort_msg("%u", item->number);
}

TEST_ABORT(a_queue_that_was_not_begun)
{
    RG_QUEUE(item) zeroed = {.head = NULL};

    rg_queue_push(&zeroed, &items[0]);
}
