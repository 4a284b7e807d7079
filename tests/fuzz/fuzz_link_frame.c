/* net/link_frame: any bytes give frames or an error, within bounds. */
#include "net/link/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rg_frame_reader *reader;
    size_t at = 0;

    if (rg_frame_reader_new(1 << 20, &reader) != RG_OK)
        return 0;
    while (at < size) {
        struct rg_frame frame;
        size_t n;

        if (rg_frame_decode(reader, rg_span(data + at, size - at), &frame, &n, NULL) != RG_OK)
            break;
        RG_ASSERT(n > 0 && n <= size - at && frame.payload.n <= RG_FRAME_BYTES_MAX);
        at += n;
    }
    rg_frame_reader_free(reader);
    return 0;
}
