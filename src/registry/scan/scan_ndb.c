/* SPDX-License-Identifier: MIT */
/* scan_ndb.c - rpm's own database "ndb" (SUSE): pages of slots, each of which says where a blob
 * with a header lies. All numbers are little-endian.
 *   file   "RpmP", version 0, generation, pages of slots, next index; then slots of 16 bytes
 *   slot   "Slot", index (0: free), where and how long, in blocks of 16 bytes
 *   blob   "BlbS", index, generation, length; the header's bytes; padding and a tail
 * The bytes come from outside: blobs may not be longer than the file together, so slots that share
 * one cost no more than their number. */
#include "registry/scan/scan_rpm.h"

#define WORD 4
#define SLOT_SIZE 16
#define SLOTS_BEFORE 2 /* the place of the file's own head */
#define SLOT_PAGE 4096
#define SLOT_PAGES_MAX 65536
#define BLOCK 16
#define BLOB_HEAD 16
#define MAGIC(a, b, c, d) \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* The `index`th word from `at`. */
static uint32_t
word(struct str s, size_t at, size_t index)
{
    const unsigned char *p = (const unsigned char *)s.at + at + index * WORD;
    return MAGIC(p[0], p[1], p[2], p[3]);
}

static bool
blob_take(struct str bytes, size_t slot, size_t *left, struct json *packages)
{
    const uint64_t at = (uint64_t)word(bytes, slot, 2) * BLOCK,
                   room = (uint64_t)word(bytes, slot, 3) * BLOCK;

    if (room < BLOB_HEAD || at > bytes.len || room > bytes.len - at ||
        word(bytes, (size_t)at, 0) != MAGIC('B', 'l', 'b', 'S') ||
        word(bytes, (size_t)at, 1) != word(bytes, slot, 1))
        return false;
    const size_t len = word(bytes, (size_t)at, 3);
    if (len > room - BLOB_HEAD || len > *left)
        return false;
    *left -= len;
    return scan_rpm_header(str_slice(bytes, (size_t)at + BLOB_HEAD, (size_t)at + BLOB_HEAD + len),
                           packages);
}

bool
scan_rpm_ndb(struct str bytes, struct json *packages)
{
    if (bytes.len < SLOT_PAGE || word(bytes, 0, 0) != MAGIC('R', 'p', 'm', 'P') ||
        word(bytes, 0, 1) != 0)
        return false;
    const uint32_t pages = word(bytes, 0, 3);
    size_t left = bytes.len;

    if (pages == 0 || pages > SLOT_PAGES_MAX || pages > bytes.len / SLOT_PAGE)
        return false;
    for (size_t i = SLOTS_BEFORE; i < pages * (size_t)(SLOT_PAGE / SLOT_SIZE); i++) {
        const size_t slot = i * SLOT_SIZE;
        if (word(bytes, slot, 0) != MAGIC('S', 'l', 'o', 't'))
            return false;
        if (word(bytes, slot, 1) != 0 && !blob_take(bytes, slot, &left, packages))
            return false;
    }
    return true;
}
