/* tests/fuzz/replay.c: runs one fuzz target over seeded random and mutated inputs, or over files: `replay_x COUNT [SEED]`,
 * `replay_x FILE…`. A finding of libFuzzer is rerun so without clang. */
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tests/lib/tmpdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 4096, FILE_BYTES_MAX = 1 << 20 };

/* Mutate in place: flips, repeated bytes, boundary values. */
static void mutate(struct rg_prng *prng, uint8_t *p, size_t n)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{', '\r', '\n', ' ', ':', '\\'};

    for (uint64_t k = rg_prng_between(prng, 1, 8); n > 0 && k > 0; k--) {
        size_t at = (size_t)rg_prng_below(prng, n);

        switch (rg_prng_below(prng, 3)) {
        case 0:
            p[at] ^= (uint8_t)(1 << rg_prng_below(prng, 8));
            break;
        case 1:
            p[at] = edges[rg_prng_below(prng, sizeof edges)];
            break;
        default:
            p[at] = p[rg_prng_below(prng, n)];
        }
    }
}

static void run_copy(const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1); /* so that a read past the end is seen */

    memcpy(exact, p, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static int run_files(int argc, char **argv)
{
    uint8_t *buf = malloc(FILE_BYTES_MAX);

    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");

        if (f == NULL) {
            perror(argv[i]);
            free(buf);
            return 1;
        }
        run_copy(buf, fread(buf, 1, FILE_BYTES_MAX, f));
        fclose(f);
    }
    free(buf);
    return 0;
}

int main(int argc, char **argv)
{
    static uint8_t input[INPUT_BYTES_MAX];
    struct rg_prng prng;
    size_t n = 0;
    long count;

    if (argc < 2)
        return 2;
    tmpdir_guard(NULL);
    count = strtol(argv[1], NULL, 10);
    if (count <= 0)
        return run_files(argc, argv);
    rg_prng_init(&prng, argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    run_copy(input, 0);
    for (long i = 0; i < count; i++) {
        if (i % 16 == 0) {
            n = (size_t)rg_prng_below(&prng, i % 64 == 0 ? INPUT_BYTES_MAX : 96);
            rg_prng_bytes(&prng, input, n);
            for (size_t k = 0; i % 32 == 0 && k < n; k++) /* half of them printable */
                input[k] = (uint8_t)(' ' + input[k] % 95);
        } else {
            mutate(&prng, input, n);
        }
        run_copy(input, n);
    }
    printf("%ld inputs, seed %llu\n", count, (unsigned long long)prng.seed);
    return 0;
}
