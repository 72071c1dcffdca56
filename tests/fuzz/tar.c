/* Any bytes as a tar shard. When the first byte is odd, the checksum of every block that may be a
 * header is made right, so that inputs get past it. */
#include "data/tar.h"
#include "fuzz_source.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16 };

static void make_checksum(uint8_t *block) {
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum & 0777777);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t file[MOST_BYTES];
    if (size < 1 || size - 1 > sizeof file)
        return 0;
    memcpy(file, data + 1, size - 1);
    for (size_t at = 0; (data[0] & 1) && at + TAR_BLOCK <= size - 1; at += TAR_BLOCK)
        if (file[at] != 0 && (data[0] & 2 || file[at + 148] != 0))
            make_checksum(file + at);
    fuzz_source("shards", file, size - 1);
    return 0;
}
