/* SPDX-License-Identifier: MIT */
#include "base/address_block.h"
#include <arpa/inet.h>

bool
address_block_parse(const char *text, struct address_block *out)
{
    const char *slash = strchr(text, '/');
    struct address_block block = {0};
    char address[64];
    int64_t bits;

    if (slash == NULL ||
        !text_copy(address, sizeof(address), (struct str){text, (size_t)(slash - text)}))
        return false;
    if (inet_pton(AF_INET, address, block.address) == 1)
        block.size = 4;
    else if (inet_pton(AF_INET6, address, block.address) == 1)
        block.size = 16;
    else
        return false;
    if (!str_to_i64(str_of(slash + 1), &bits) || bits < 0 || bits > block.size * 8)
        return false;
    block.bits = (int)bits;
    *out = block;
    return true;
}
