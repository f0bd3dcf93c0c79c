/* SPDX-License-Identifier: MIT */
/* scan_bdb.c - rpm's database as rpm 4.16 and before wrote it: a hash file of Berkeley DB (CentOS
 * 7, Amazon Linux 2). The layout is that of dbinc/db_page.h in Berkeley DB 5.3: a page of metadata,
 * then pages of one size, in the byte order of the machine that made them. Pages of hash items hold
 * key and value by turns; a long value stands on a chain of overflow pages. Berkeley DB's own
 * library wants a file and trusts it, so pages are read here, and only these two kinds.
 *
 * The bytes come from outside: items of a page lie one behind the other, and all values on chains
 * (which may share pages) are together no longer than the file, so the time is bounded by its
 * size. */
#include "registry/scan/scan_rpm.h"

#define META_SIZE 72
#define META_MAGIC_AT 12
#define META_VERSION_AT 16
#define META_PAGE_SIZE_AT 20
#define META_ENCRYPTION_AT 24
#define META_TYPE_AT 25
#define META_LAST_PAGE_AT 32
#define HASH_MAGIC 0x061561
#define HASH_VERSION_MIN 7
#define HASH_VERSION_MAX 10
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX 65536

#define PAGE_HEADER 26
#define PAGE_NEXT_AT 16
#define PAGE_ENTRIES_AT 20
#define PAGE_USED_AT 22 /* of an overflow page: how many bytes are on it */
#define PAGE_TYPE_AT 25
#define TYPE_HASH_UNSORTED 2
#define TYPE_OVERFLOW 7
#define TYPE_HASH_META 8
#define TYPE_HASH 13

#define ITEM_KEY_DATA 1
#define ITEM_OFF_PAGE 3
#define OFF_PAGE_SIZE 12
#define OFF_PAGE_NUMBER_AT 4
#define OFF_PAGE_LENGTH_AT 8

struct bdb {
    struct str bytes;
    size_t page_size;
    bool is_big; /* its byte order */
    size_t left; /* bytes of values that may still be read */
    struct json *packages;
};

static uint32_t
number(const struct bdb *db, struct str s, size_t at, size_t size)
{
    uint32_t n = 0;

    for (size_t i = 0; i < size; i++)
        n = n << 8 | (unsigned char)s.at[at + (db->is_big ? i : size - 1 - i)];
    return n;
}

/* A whole page; the empty view: there is none of that number. */
static struct str
page_of(const struct bdb *db, uint32_t index)
{
    const size_t count = db->bytes.len / db->page_size;

    if (index >= count)
        return (struct str){0};
    return str_slice(db->bytes, index * db->page_size, (index + (size_t)1) * db->page_size);
}

static unsigned
page_type(struct str page)
{
    return (unsigned char)page.at[PAGE_TYPE_AT];
}

/* A value on a chain of pages, `len` bytes long. Each page gives at least one of them. */
static bool
chain_read(struct bdb *db, uint32_t index, size_t len, struct strbuf *out)
{
    if (len > db->left)
        return false;
    db->left -= len;
    while (out->len < len) {
        const struct str page = page_of(db, index);
        if (page.len == 0 || page_type(page) != TYPE_OVERFLOW)
            return false;
        const size_t used = number(db, page, PAGE_USED_AT, 2);
        if (used == 0 || used > page.len - PAGE_HEADER || used > len - out->len)
            return false;
        strbuf_add(out, str_slice(page, PAGE_HEADER, PAGE_HEADER + used));
        index = number(db, page, PAGE_NEXT_AT, 4);
    }
    return true;
}

/* A value is a header, or (of key 0) the number that the next one gets. */
static bool
value_take(struct bdb *db, struct str item)
{
    cleanup(strbuf_done) struct strbuf value = {0};

    if (item.len > 0 && item.at[0] == ITEM_KEY_DATA)
        return item.len - 1 == sizeof(uint32_t) ||
               scan_rpm_header(str_slice(item, 1, item.len), db->packages);
    return item.len == OFF_PAGE_SIZE && item.at[0] == ITEM_OFF_PAGE &&
           chain_read(db, number(db, item, OFF_PAGE_NUMBER_AT, 4),
                      number(db, item, OFF_PAGE_LENGTH_AT, 4), &value) &&
           scan_rpm_header(strbuf_str(&value), db->packages);
}

/* Items stand from the end of the page downwards, so each ends where the one before begins. */
static bool
page_take(struct bdb *db, struct str page)
{
    const size_t entries = number(db, page, PAGE_ENTRIES_AT, 2);
    size_t end = page.len;

    if (entries % 2 != 0 || PAGE_HEADER + 2 * entries > page.len)
        return false;
    for (size_t i = 0; i < entries; i++) {
        const size_t begin = number(db, page, PAGE_HEADER + 2 * i, 2);
        if (begin < PAGE_HEADER + 2 * entries || begin >= end)
            return false;
        if (i % 2 == 1 && !value_take(db, str_slice(page, begin, end)))
            return false;
        end = begin;
    }
    return true;
}

static bool
meta_read(struct bdb *db)
{
    if (db->bytes.len < PAGE_SIZE_MIN)
        return false;
    db->is_big = number(db, db->bytes, META_MAGIC_AT, 4) != HASH_MAGIC;
    const uint32_t version = number(db, db->bytes, META_VERSION_AT, 4);
    db->page_size = number(db, db->bytes, META_PAGE_SIZE_AT, 4);
    return number(db, db->bytes, META_MAGIC_AT, 4) == HASH_MAGIC &&
           (unsigned char)db->bytes.at[META_TYPE_AT] == TYPE_HASH_META &&
           db->bytes.at[META_ENCRYPTION_AT] == 0 && version >= HASH_VERSION_MIN &&
           version <= HASH_VERSION_MAX && db->page_size >= PAGE_SIZE_MIN &&
           db->page_size <= PAGE_SIZE_MAX && (db->page_size & (db->page_size - 1)) == 0 &&
           number(db, db->bytes, META_LAST_PAGE_AT, 4) < db->bytes.len / db->page_size;
}

bool
scan_rpm_bdb(struct str bytes, struct json *packages)
{
    struct bdb db = {.bytes = bytes, .left = bytes.len, .packages = packages};
    bool ok = meta_read(&db);

    for (uint32_t i = 1; ok && i < bytes.len / db.page_size; i++) {
        const struct str page = page_of(&db, i);
        if (page_type(page) == TYPE_HASH || page_type(page) == TYPE_HASH_UNSORTED)
            ok = page_take(&db, page);
    }
    return ok;
}
