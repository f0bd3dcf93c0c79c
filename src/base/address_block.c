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

bool
address_block_parse_any(const char *text, struct address_block *out)
{
    cleanup_free char *alone = NULL;

    if (strchr(text, '/') != NULL)
        return address_block_parse(text, out);
    alone = text_format("%s/%d", text, strchr(text, ':') != NULL ? 128 : 32);
    return address_block_parse(alone, out);
}

bool
address_block_holds(const struct address_block *outer, const struct address_block *inner)
{
    const int bytes = outer->bits / 8, rest = outer->bits % 8;

    return outer->size == inner->size && outer->bits <= inner->bits &&
           memcmp(outer->address, inner->address, (size_t)bytes) == 0 &&
           (rest == 0 ||
            (outer->address[bytes] >> (8 - rest)) == (inner->address[bytes] >> (8 - rest)));
}

bool
address_block_has(const struct address_block *block, const char *address)
{
    struct address_block one;

    return strchr(address, '/') == NULL && address_block_parse_any(address, &one) &&
           address_block_holds(block, &one);
}

bool
address_blocks_read(const char *text, struct address_block *out, size_t max, size_t *count_out,
                    struct err *err)
{
    struct str rest = str_of(text), one;
    size_t count = 0;

    while (rest.len > 0 && str_split(&rest, ',', &one)) {
        cleanup_free char *block = str_dup(str_trim(one));
        if (count == max)
            return err_set(err, ERR_USAGE, "there are more than %zu addresses", max);
        if (!address_block_parse_any(block, &out[count++]))
            return err_set(err, ERR_USAGE, "'%.100s' is no address, nor a block such as 10.0.0.0/8",
                           block);
    }
    *count_out = count;
    return true;
}

bool
address_blocks_hold(const struct address_block *blocks, size_t count, const struct address_block *inner)
{
    for (size_t i = 0; i < count; i++)
        if (address_block_holds(&blocks[i], inner))
            return true;
    return false;
}
