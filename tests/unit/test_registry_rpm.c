/* SPDX-License-Identifier: MIT */
/* rpm's databases in their three forms: made here, read, damaged and cut off. */
#include <sqlite3.h>

#include "registry/scan/scan_rpm.h"
#include "scan_setup.h"

/* ---- headers ---- */

static void
be32_add(struct strbuf *b, uint32_t n)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        strbuf_add_char(b, (char)(n >> shift & 0xff));
}

/* A header of name, version, release, epoch and source. */
static void
rpm_header(struct strbuf *out, const char *name, const char *version, const char *source)
{
    const struct {
        uint32_t tag;
        const char *text;
    } texts[] = {{1000, name}, {1001, version}, {1002, "6.el9"}, {1044, source}};
    cleanup(strbuf_done) struct strbuf store = {0}, index = {0};

    be32_add(&store, 2); /* the epoch */
    be32_add(&index, 1003), be32_add(&index, 4), be32_add(&index, 0), be32_add(&index, 1);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        be32_add(&index, texts[i].tag), be32_add(&index, 6), be32_add(&index, (uint32_t)store.len),
            be32_add(&index, 1);
        strbuf_add(&store, (struct str){texts[i].text, strlen(texts[i].text) + 1});
    }
    be32_add(out, (uint32_t)ARRAY_COUNT(texts) + 1);
    be32_add(out, (uint32_t)store.len);
    strbuf_add(out, strbuf_str(&index));
    strbuf_add(out, strbuf_str(&store));
}

/* ---- SQLite ---- */

TEST(an_rpm_database_of_sqlite_is_read)
{
    cleanup_json struct json *packages = json_array();
    cleanup(strbuf_done) struct strbuf header = {0};
    sqlite3 *db = NULL;
    sqlite3_stmt *put = NULL;
    sqlite3_int64 size = 0;

    rpm_header(&header, "bash-doc", "5.1.8", "bash-5.1.8-6.el9.src.rpm");
    CHECK_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db,
                          "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)",
                          NULL, NULL, NULL),
             SQLITE_OK);
    CHECK_EQ(sqlite3_prepare_v2(db, "INSERT INTO Packages (blob) VALUES (?)", -1, &put, NULL),
             SQLITE_OK);
    sqlite3_bind_blob(put, 1, header.at, (int)header.len, SQLITE_STATIC);
    CHECK_EQ(sqlite3_step(put), SQLITE_DONE);
    sqlite3_finalize(put);
    unsigned char *bytes = sqlite3_serialize(db, "main", &size, 0);
    CHECK(scan_parse(scan_kind_of(STR("var/lib/rpm/rpmdb.sqlite")), STR(""),
                     (struct str){(char *)bytes, (size_t)size}, packages));
    CHECK_TEXT(said(packages), "rpm bash-doc 2:5.1.8-6.el9 <bash@2:5.1.8-6.el9>;");
    sqlite3_free(bytes);
    sqlite3_close(db);
    for (size_t cut = 0; cut < header.len; cut++) /* a short one is none, wherever it ends */
        CHECK(!scan_rpm_header((struct str){header.at, cut}, packages));
}

/* A schema may reckon values: no file of a kilobyte makes us hold gigabytes. */
TEST(what_a_schema_reckons_is_no_longer_than_headers_are)
{
    static const int sizes[] = {1000, 100000000};

    for (size_t n = 0; n < ARRAY_COUNT(sizes); n++) {
        const int size = sizes[n];
        cleanup_json struct json *packages = json_array();
        cleanup(strbuf_done) struct strbuf header = {0}, sql = {0};
        sqlite3 *db = NULL;
        sqlite3_int64 len = 0;

        rpm_header(&header, "bash", "5.1.8", "bash-5.1.8-6.el9.src.rpm");
        strbuf_add_cstr(&sql, "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob AS (CAST(x'");
        for (size_t i = 0; i < header.len; i++)
            strbuf_addf(&sql, "%02x", (unsigned char)header.at[i]);
        strbuf_addf(&sql, "' || zeroblob(%d) AS BLOB))); INSERT INTO Packages (hnum) VALUES (1)", size);
        CHECK_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
        CHECK_EQ(sqlite3_exec(db, strbuf_cstr(&sql), NULL, NULL, NULL), SQLITE_OK);
        unsigned char *bytes = sqlite3_serialize(db, "main", &len, 0);
        CHECK_EQ(scan_rpm_sqlite((struct str){(char *)bytes, (size_t)len}, packages), size == 1000);
        CHECK_EQ((int)json_size(packages), size == 1000);
        sqlite3_free(bytes);
        sqlite3_close(db);
    }
}

/* ---- Berkeley DB ---- */

#define PAGE 512

/* A file of pages, in one of two byte orders. */
struct bdb_file {
    unsigned char bytes[PAGE * 8];
    size_t used; /* the page of items: where the last one begins */
    unsigned entries;
    bool is_big;
};

static void
put(struct bdb_file *f, size_t at, size_t size, uint32_t n)
{
    for (size_t i = 0; i < size; i++)
        f->bytes[at + (f->is_big ? size - 1 - i : i)] = (unsigned char)(n >> 8 * i);
}

/* Page 1 is the one of items. */
static void
bdb_item(struct bdb_file *f, const void *bytes, size_t len)
{
    f->used -= len;
    memcpy(f->bytes + PAGE + f->used, bytes, len);
    put(f, PAGE + 26 + (size_t)2 * f->entries++, 2, (uint32_t)f->used);
    put(f, PAGE + 20, 2, f->entries);
}

static void
bdb_new(struct bdb_file *f, bool is_big)
{
    *f = (struct bdb_file){.used = PAGE, .is_big = is_big};
    put(f, 12, 4, 0x061561);
    put(f, 16, 4, 9);
    put(f, 20, 4, PAGE);
    put(f, 32, 4, 7); /* the last page */
    f->bytes[25] = 8;
    f->bytes[PAGE + 25] = 13;
    bdb_item(f, "\1\0\0\0", 5); /* key 0: the number that comes next */
    bdb_item(f, "\1\3\0\0", 5);
}

/* A value on overflow pages from `page` on, `each` bytes on one. */
static void
bdb_chain(struct bdb_file *f, uint32_t page, struct str value, size_t each)
{
    const size_t item = PAGE + f->used - 12;

    bdb_item(f, "\1\0\0\1", 5);
    bdb_item(f, "\3\0\0\0\0\0\0\0\0\0\0", 12);
    put(f, item - 5 + 4, 4, page);
    put(f, item - 5 + 8, 4, (uint32_t)value.len);
    for (size_t at = 0; at < value.len; at += each, page++) {
        const struct str part = str_slice(value, at, at + each);
        f->bytes[page * PAGE + 25] = 7;
        put(f, page * PAGE + 16, 4, at + each < value.len ? page + 1 : 0);
        put(f, page * PAGE + 22, 2, (uint32_t)part.len);
        memcpy(f->bytes + page * PAGE + 26, part.at, part.len);
    }
}

static struct str
bdb_str(const struct bdb_file *f)
{
    return (struct str){(const char *)f->bytes, sizeof f->bytes};
}

#define BASH "rpm bash-doc 2:5.1.8-6.el9 <bash@2:5.1.8-6.el9>;"
#define ZLIB "rpm zlib 2:1.2.11-6.el9;"

static void
bdb_fill(struct bdb_file *f, bool is_big)
{
    cleanup(strbuf_done) struct strbuf bash = {0}, zlib = {0};

    bdb_new(f, is_big);
    rpm_header(&bash, "bash-doc", "5.1.8", "bash-5.1.8-6.el9.src.rpm");
    bdb_chain(f, 3, strbuf_str(&bash), 100);
    strbuf_add_char(&zlib, 1); /* short enough to stand among the items */
    rpm_header(&zlib, "zlib", "1.2.11", "zlib-1.2.11-6.el9.src.rpm");
    bdb_item(f, "\1\0\0\2", 5);
    bdb_item(f, zlib.at, zlib.len);
}

TEST(an_rpm_database_of_berkeley_db_is_read_in_both_byte_orders)
{
    for (int is_big = 0; is_big < 2; is_big++) {
        cleanup_json struct json *packages = json_array();
        struct bdb_file f;
        bdb_fill(&f, is_big);
        CHECK(
            scan_parse(scan_kind_of(STR("var/lib/rpm/Packages")), STR(""), bdb_str(&f), packages));
        CHECK_TEXT(said(packages), BASH ZLIB);
    }
}

/* Where one byte is another one, or the file ends early, it is read to the damage and told as such,
 * or what it says is another thing; never more than that. */
TEST(a_damaged_berkeley_db_is_told_from_a_whole_one)
{
    static const struct {
        size_t at;
        unsigned char byte;
    } damages[] = {
        {12, 0},              /* no such magic */
        {16, 99},             /* a version of another time */
        {21, 3},              /* pages of 768 bytes */
        {32, 8},              /* a page that is not there */
        {24, 1},              /* encrypted */
        {25, 9},              /* a B-tree */
        {PAGE + 20, 7},       /* half a pair */
        {PAGE + 21, 0xff},    /* more items than the page has room for */
        {PAGE + 27, 0},       /* an item among the places of items */
        {3 * PAGE + 25, 13},  /* the chain leads to items */
        {3 * PAGE + 22, 0},   /* ... to a page without a byte */
        {3 * PAGE + 16, 200}, /* ... out of the file */
        {3 * PAGE + 16, 3},   /* ... round and round */
        {3 * PAGE + 26, 1},   /* the header has other entries than it has room for */
    };

    for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
        cleanup_json struct json *packages = json_array();
        struct bdb_file f;
        bdb_fill(&f, /* is_big= */ false);
        f.bytes[damages[i].at] = damages[i].byte;
        if (scan_rpm_bdb(bdb_str(&f), packages))
            check_fail(__FILE__, __LINE__, "damage %zu went unseen", i);
    }
    for (size_t len = 0; len < (size_t)8 * PAGE; len += 64) {
        cleanup_json struct json *packages = json_array();
        struct bdb_file f;
        bdb_fill(&f, /* is_big= */ false);
        CHECK(!scan_rpm_bdb(str_slice(bdb_str(&f), 0, len), packages));
    }
}

/* Many items that share one long value would cost the product of both. */
TEST(values_of_berkeley_db_are_no_longer_than_the_file_together)
{
    cleanup_json struct json *packages = json_array();
    cleanup(strbuf_done) struct strbuf long_header = {0};
    struct bdb_file f;

    bdb_new(&f, /* is_big= */ false);
    rpm_header(&long_header, "a", "1", "a-1-1.src.rpm");
    for (int i = 0; i < 20; i++)
        bdb_chain(&f, 3, strbuf_str(&long_header), 400);
    CHECK(scan_rpm_bdb(bdb_str(&f), packages));
    f.used = PAGE; /* the same with values of three pages */
    f.entries = 0;
    while (long_header.len < (size_t)3 * 400)
        strbuf_add_char(&long_header, 0);
    for (int i = 0; i < 20; i++)
        bdb_chain(&f, 3, strbuf_str(&long_header), 400);
    CHECK(!scan_rpm_bdb(bdb_str(&f), packages));
}

/* ---- ndb ---- */

static void
le32_put(unsigned char *at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(n >> 8 * i);
}

struct ndb_file {
    unsigned char bytes[8192];
    size_t used;
    size_t slots;
};

static void
ndb_new(struct ndb_file *f)
{
    *f = (struct ndb_file){.used = 4096};
    memcpy(f->bytes, "RpmP", 4);
    le32_put(f->bytes + 12, 1); /* one page of slots */
    for (size_t i = 32; i < 4096; i += 16)
        memcpy(f->bytes + i, "Slot", 4);
}

static void
ndb_add(struct ndb_file *f, struct str header)
{
    unsigned char *slot = f->bytes + 32 + 16 * f->slots++, *blob = f->bytes + f->used;
    const size_t blocks = (16 + header.len + 12 + 15) / 16;

    le32_put(slot + 4, (uint32_t)f->slots);
    le32_put(slot + 8, (uint32_t)(f->used / 16));
    le32_put(slot + 12, (uint32_t)blocks);
    memcpy(blob, "BlbS", 4);
    le32_put(blob + 4, (uint32_t)f->slots);
    le32_put(blob + 12, (uint32_t)header.len);
    memcpy(blob + 16, header.at, header.len);
    memcpy(blob + blocks * 16 - 4, "BlbE", 4);
    f->used += blocks * 16;
}

static void
ndb_fill(struct ndb_file *f)
{
    cleanup(strbuf_done) struct strbuf bash = {0}, zlib = {0};

    ndb_new(f);
    rpm_header(&bash, "bash-doc", "5.1.8", "bash-5.1.8-6.el9.src.rpm");
    rpm_header(&zlib, "zlib", "1.2.11", "zlib-1.2.11-6.el9.src.rpm");
    ndb_add(f, strbuf_str(&bash));
    ndb_add(f, strbuf_str(&zlib));
}

TEST(an_rpm_database_of_ndb_is_read_and_a_damaged_one_told_from_it)
{
    static const struct {
        size_t at;
        unsigned char byte;
    } damages[] = {{0, 'x'},   {4, 1},      {12, 0},        {12, 9},
                   {32, 's'},  {36, 9},     {41, 0xff},     {47, 0xff},
                   {44, 1},    {4096, 'b'}, {4096 + 13, 9}, {4096 + 16, 9},
                   {15, 0xff}, {60, 0},     {43, 0xff},     {4096 + 4, 33}};
    cleanup_json struct json *packages = json_array();
    struct ndb_file f;

    ndb_fill(&f);
    CHECK(scan_parse(scan_kind_of(STR("usr/lib/sysimage/rpm/Packages.db")), STR(""),
                     (struct str){(char *)f.bytes, f.used}, packages));
    CHECK_TEXT(said(packages), BASH ZLIB);
    for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
        ndb_fill(&f);
        f.bytes[damages[i].at] = damages[i].byte;
        if (scan_rpm_ndb((struct str){(char *)f.bytes, f.used}, packages))
            check_fail(__FILE__, __LINE__, "damage %zu went unseen", i);
    }
    ndb_fill(&f);
    for (size_t len = 0; len < f.used; len++)
        CHECK(!scan_rpm_ndb((struct str){(char *)f.bytes, len}, packages));
}
