/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

struct str
str_of(const char *cstr)
{
    return cstr == NULL ? (struct str){NULL, 0} : (struct str){cstr, strlen(cstr)};
}

bool
str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool
str_equal_nocase(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

bool
str_like(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = 0, kept = 0;
    bool has_star = false;

    while (t < text.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            has_star = true;
            star = ++p;
            kept = t; /* it takes nothing, at first */
        } else if (p < pattern.len && (pattern.at[p] == '?' || pattern.at[p] == text.at[t])) {
            p++;
            t++;
        } else if (has_star) {
            p = star;
            t = ++kept;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*')
        p++;
    return p == pattern.len;
}

unsigned
str_distance(struct str a, struct str b)
{
    unsigned row[64];

    if (a.len >= 60 || b.len >= 60)
        return 99;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned above = row[j];
            unsigned best = diagonal + ((a.at[i - 1] | 32) != (b.at[j - 1] | 32));
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b.len];
}

bool
str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_equal((struct str){s.at, prefix.len}, prefix);
}

bool
str_ends(struct str s, struct str suffix)
{
    if (s.len < suffix.len)
        return false;
    return suffix.len == 0 ||
           str_equal((struct str){s.at + (s.len - suffix.len), suffix.len}, suffix);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

struct str
str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return s.at == NULL ? s : (struct str){s.at + from, to - from};
}

ptrdiff_t
str_index(struct str s, char c)
{
    const char *hit = s.len == 0 ? NULL : memchr(s.at, c, s.len);

    return hit == NULL ? -1 : hit - s.at;
}

ptrdiff_t
str_rindex(struct str s, char c)
{
    const char *hit = s.len == 0 ? NULL : memrchr(s.at, c, s.len);

    return hit == NULL ? -1 : hit - s.at;
}

ptrdiff_t
str_find(struct str s, struct str needle)
{
    const char *hit;

    if (needle.len == 0)
        return 0;
    hit = s.len < needle.len ? NULL : memmem(s.at, s.len, needle.at, needle.len);
    return hit == NULL ? -1 : hit - s.at;
}

bool
str_split(struct str *rest, char separator, struct str *part_out)
{
    ptrdiff_t cut;

    if (rest->at == NULL)
        return false;
    cut = str_index(*rest, separator);
    if (cut < 0) {
        *part_out = *rest;
        *rest = (struct str){NULL, 0};
        return true;
    }
    *part_out = str_slice(*rest, 0, (size_t)cut);
    *rest = str_slice(*rest, (size_t)cut + 1, rest->len);
    return true;
}

bool
str_is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isxdigit((unsigned char)s.at[i]))
            return false;
    return s.len > 0;
}

bool
str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.len > 0 && s.at[0] == '-';
    int64_t n = 0;

    if (negative)
        s = str_slice(s, 1, s.len);
    if (s.len == 0)
        return false;
    /* Counted downwards, because the smallest number has no positive twin. */
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, s.at[i] - '0', &n))
            return false;
    }
    if (!negative && n == INT64_MIN)
        return false;
    *out = negative ? n : -n;
    return true;
}

bool
str_to_size(struct str s, int64_t *out)
{
    static const char units[] = "KMGT";
    const char *unit = s.len > 1 ? memchr(units, s.at[s.len - 1], sizeof(units) - 1) : NULL;
    const int64_t factor = unit == NULL ? 1 : (int64_t)1 << (10 * (unit - units + 1));
    int64_t number;

    if (!str_to_i64(unit == NULL ? s : str_slice(s, 0, s.len - 1), &number) || number < 0 ||
        number > INT64_MAX / factor)
        return false;
    *out = number * factor;
    return true;
}

char *
str_dup(struct str s)
{
    char *copy = mem_new(s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return copy;
}

char *
text_dup(const char *s)
{
    return s == NULL ? NULL : str_dup(str_of(s));
}

bool
text_copy(char *to, size_t size, struct str from)
{
    assert(size > 0);
    if (from.len >= size) {
        to[0] = '\0';
        return false;
    }
    if (from.len > 0)
        memcpy(to, from.at, from.len);
    to[from.len] = '\0';
    return true;
}

void
text_copy_all(char *to, size_t size, const char *from)
{
    const bool fits = text_copy(to, size, str_of(from));

    assert(fits);
}

size_t
text_characters(const char *utf8)
{
    size_t count = 0;

    for (const char *p = utf8; *p != '\0'; p++)
        count += ((unsigned char)*p & 0xc0) != 0x80;
    return count;
}

char *
text_format(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&out, format, args);
    va_end(args);
    if (len < 0)
        abort();
    return out;
}

char *
str_join(const struct str *parts, size_t count)
{
    size_t len = 0;
    char *out, *end;

    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    out = end = mem_grow(NULL, len + 1, 1);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0)
            memcpy(end, parts[i].at, parts[i].len);
        end += parts[i].len;
    }
    *end = '\0';
    return out;
}

void *
mem_new(size_t size)
{
    void *p = calloc(1, size == 0 ? 1 : size);

    if (p == NULL)
        abort();
    return p;
}

void *
mem_grow(void *p, size_t count, size_t size)
{
    size_t bytes;
    void *grown;

    if (__builtin_mul_overflow(count, size, &bytes))
        abort();
    grown = realloc(p, bytes == 0 ? 1 : bytes);
    if (grown == NULL)
        abort();
    return grown;
}

void
strbuf_done(struct strbuf *b)
{
    free(b->at);
    *b = (struct strbuf){0};
}

void
strbuf_clear(struct strbuf *b)
{
    b->len = 0;
    if (b->at != NULL)
        b->at[0] = '\0';
}

void
strbuf_cut(struct strbuf *b, size_t len)
{
    assert(len <= b->len);
    b->len = len;
    if (b->at != NULL)
        b->at[len] = '\0';
}

void
strbuf_reserve(struct strbuf *b, size_t extra)
{
    size_t need, capacity = b->capacity < 32 ? 32 : b->capacity;

    if (extra < b->capacity - b->len) /* and room for the NUL */
        return;
    if (__builtin_add_overflow(b->len, extra, &need) || need > SIZE_MAX / 4)
        abort();
    need++; /* the NUL */
    while (capacity < need)
        capacity *= 2;
    b->at = mem_grow(b->at, capacity, 1);
    b->capacity = capacity;
    b->at[b->len] = '\0';
}

void
strbuf_add(struct strbuf *b, struct str s)
{
    strbuf_reserve(b, s.len);
    if (s.len > 0)
        memcpy(b->at + b->len, s.at, s.len);
    b->len += s.len;
    b->at[b->len] = '\0';
}

void
strbuf_add_cstr(struct strbuf *b, const char *s)
{
    strbuf_add(b, str_of(s));
}

void
strbuf_add_char(struct strbuf *b, char c)
{
    strbuf_reserve(b, 1);
    b->at[b->len++] = c;
    b->at[b->len] = '\0';
}

void
strbuf_add_utf8(struct strbuf *b, unsigned code)
{
    if (code < 0x80) {
        strbuf_add_char(b, (char)code);
        return;
    }
    if (code < 0x800) {
        strbuf_add_char(b, (char)(0xC0 | (code >> 6)));
    } else {
        if (code < 0x10000) {
            strbuf_add_char(b, (char)(0xE0 | (code >> 12)));
        } else {
            strbuf_add_char(b, (char)(0xF0 | (code >> 18)));
            strbuf_add_char(b, (char)(0x80 | ((code >> 12) & 0x3F)));
        }
        strbuf_add_char(b, (char)(0x80 | ((code >> 6) & 0x3F)));
    }
    strbuf_add_char(b, (char)(0x80 | (code & 0x3F)));
}

void
strbuf_addf(struct strbuf *b, const char *format, ...)
{
    va_list args, again;
    size_t room;
    int len;

    strbuf_reserve(b, 0);
    room = b->capacity - b->len;
    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(b->at + b->len, room, format, args);
    if (len < 0)
        abort();
    if ((size_t)len >= room) {
        strbuf_reserve(b, (size_t)len);
        (void)vsnprintf(b->at + b->len, (size_t)len + 1, format, again);
    }
    b->len += (size_t)len;
    va_end(again);
    va_end(args);
}

struct str
strbuf_str(const struct strbuf *b)
{
    return (struct str){b->at, b->len};
}

const char *
strbuf_cstr(const struct strbuf *b)
{
    return b->at == NULL ? "" : b->at;
}

char *
strbuf_take(struct strbuf *b)
{
    char *at;

    strbuf_reserve(b, 0);
    at = b->at;
    *b = (struct strbuf){0};
    return at;
}
