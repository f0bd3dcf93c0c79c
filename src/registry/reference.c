/* SPDX-License-Identifier: MIT */
#include "registry/reference.h"

#include <stdio.h>

#include "base/crypto.h"
#include "model/image_ref.h"

static bool
is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
component_is_valid(struct str part)
{
    /* 255 is what a file system takes for one name. */
    if (part.len == 0 || part.len > 255)
        return false;
    bool separator = true; /* none at the start, none at the end, never two in a row */
    for (size_t i = 0; i < part.len; i++) {
        char c = part.at[i];
        if (is_lower_or_digit(c))
            separator = false;
        else if ((c == '.' || c == '_' || c == '-') && !separator)
            separator = true;
        else
            return false;
    }
    return !separator;
}

bool
name_prefix_is_valid(struct str prefix)
{
    struct str part;

    if (prefix.len == 0 || prefix.len >= REGISTRY_NAME_SIZE)
        return false;
    while (str_split(&prefix, '/', &part))
        if (!component_is_valid(part))
            return false;
    return true;
}

bool
name_is_valid(struct str name)
{
    return name.len >= 2 && name_prefix_is_valid(name);
}

bool
tag_is_valid(struct str tag)
{
    if (tag.len == 0 || tag.len >= REGISTRY_TAG_SIZE)
        return false;
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.at[i];
        bool word = is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
        if (!word && (i == 0 || (c != '.' && c != '-')))
            return false;
    }
    return true;
}

bool
region_is_valid(struct str region)
{
    if (region.len == 0 || region.len >= REGISTRY_REGION_SIZE)
        return false;
    for (size_t i = 0; i < region.len; i++)
        if (!is_lower_or_digit(region.at[i]) &&
            (region.at[i] != '-' || i == 0 || i + 1 == region.len))
            return false;
    return true;
}

bool
digest_is_valid(struct str digest)
{
    if (!(digest.len == 7 + SHA256_HEX && str_starts(digest, STR("sha256:"))) &&
        !(digest.len == 7 + SHA512_HEX && str_starts(digest, STR("sha512:"))))
        return false;
    for (size_t i = 7; i < digest.len; i++) {
        char c = digest.at[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

bool
digest_from_hex(struct str hex, char out[static REGISTRY_DIGEST_SIZE])
{
    if (hex.len > SHA512_HEX)
        return false;
    snprintf(out, REGISTRY_DIGEST_SIZE, "%s:" STR_FMT, hex.len == SHA512_HEX ? "sha512" : "sha256",
             STR_ARG(hex));
    return digest_is_valid(str_of(out));
}

void
digest_make(struct str bytes, struct str like, char out[static REGISTRY_DIGEST_SIZE])
{
    if (str_starts(like, STR("sha512:"))) {
        memcpy(out, "sha512:", 7);
        sha512_hex(bytes, out + 7);
    } else {
        memcpy(out, "sha256:", 7);
        sha256_hex(bytes, out + 7);
    }
}

bool
digest_is_of(struct str digest, struct str bytes)
{
    char made[REGISTRY_DIGEST_SIZE];

    digest_make(bytes, digest, made);
    return str_is(digest, made);
}

bool
ecr_host_parse(struct str host, struct str *region_out)
{
    struct str region;

    if (host.len == 0 || image_ref_ecr_host(host, &region) != host.len || !region_is_valid(region))
        return false;
    *region_out = region;
    return true;
}

/* ---- URLs ---- */

static bool
route_from(struct str head, struct str word, enum route_kind kind, struct str argument,
           struct route_path *out)
{
    /* `head` must be "<name>/<word>". */
    if (head.len < word.len + 2 || !str_ends(head, word) || head.at[head.len - word.len - 1] != '/')
        return false;
    *out = (struct route_path){kind, str_slice(head, 0, head.len - word.len - 1), argument};
    return true;
}

bool
route_path_parse(struct str path, struct route_path *out)
{
    if (!str_starts(path, STR("/v2/")))
        return false;
    struct str rest = str_slice(path, 4, path.len);
    if (rest.len == 0) {
        *out = (struct route_path){.kind = ROUTE_BASE};
        return true;
    }
    if (str_is(rest, "token")) {
        *out = (struct route_path){.kind = ROUTE_TOKEN};
        return true;
    }
    if (str_is(rest, "_catalog")) {
        *out = (struct route_path){.kind = ROUTE_CATALOG};
        return true;
    }
    /* From the end, because a name may have components called "blobs" or "manifests". */
    ptrdiff_t slash = str_rindex(rest, '/');
    if (slash < 0)
        return false;
    struct str head = str_slice(rest, 0, (size_t)slash);
    struct str tail = str_slice(rest, (size_t)slash + 1, rest.len);
    if (str_is(tail, "list") && route_from(head, STR("tags"), ROUTE_TAGS, (struct str){0}, out))
        return true;
    if (route_from(head, STR("blobs/uploads"), tail.len == 0 ? ROUTE_UPLOADS : ROUTE_UPLOAD, tail,
                   out))
        return true;
    if (route_from(head, STR("blobs"), str_is(tail, "uploads") ? ROUTE_UPLOADS : ROUTE_BLOB, tail,
                   out))
        return true;
    return route_from(head, STR("manifests"), ROUTE_MANIFEST, tail, out) ||
           route_from(head, STR("referrers"), ROUTE_REFERRERS, tail, out);
}

/* ---- ranges ---- */

static bool
number_parse(struct str text, int64_t *out)
{
    return text.len > 0 && text.len <= 18 && text.at[0] != '-' && str_to_i64(text, out);
}

enum range_kind
range_parse(struct str header, int64_t size, int64_t *first_out, int64_t *count_out)
{
    struct str range = str_trim(header);
    int64_t first = 0, last = size - 1;

    if (!str_starts(range, STR("bytes=")))
        return RANGE_WHOLE;
    range = str_slice(range, 6, range.len);
    ptrdiff_t dash = str_index(range, '-');
    if (dash < 0 || str_index(range, ',') >= 0)
        return RANGE_WHOLE;
    struct str from = str_slice(range, 0, (size_t)dash);
    struct str to = str_slice(range, (size_t)dash + 1, range.len);
    if (from.len == 0) {
        int64_t suffix;
        if (!number_parse(to, &suffix))
            return RANGE_WHOLE;
        if (suffix == 0 || size == 0)
            return RANGE_UNSATISFIABLE;
        first = suffix < size ? size - suffix : 0;
    } else {
        int64_t end = INT64_MAX;
        if (!number_parse(from, &first) || (to.len > 0 && !number_parse(to, &end)) || end < first)
            return RANGE_WHOLE;
        if (first >= size)
            return RANGE_UNSATISFIABLE;
        if (end < last)
            last = end;
    }
    *first_out = first;
    *count_out = last - first + 1;
    return RANGE_PART;
}

bool
content_range_parse(struct str header, int64_t *first_out, int64_t *last_out)
{
    struct str range = str_trim(header);
    int64_t first, last;

    /* The registry's own form is "0-1023"; some clients send HTTP's. */
    if (str_starts(range, STR("bytes ")) || str_starts(range, STR("bytes=")))
        range = str_slice(range, 6, range.len);
    ptrdiff_t slash = str_index(range, '/');
    if (slash >= 0)
        range = str_slice(range, 0, (size_t)slash);
    ptrdiff_t dash = str_index(range, '-');
    if (dash < 0 || !number_parse(str_slice(range, 0, (size_t)dash), &first) ||
        !number_parse(str_slice(range, (size_t)dash + 1, range.len), &last) || last < first)
        return false;
    *first_out = first;
    *last_out = last;
    return true;
}

bool
accept_matches(struct str accept, struct str type)
{
    struct str item;
    bool any = false;

    while (str_split(&accept, ',', &item)) {
        ptrdiff_t semicolon = str_index(item, ';');
        if (semicolon >= 0)
            item = str_slice(item, 0, (size_t)semicolon);
        item = str_trim(item);
        if (item.len == 0)
            continue;
        any = true;
        if (str_is(item, "*/*") || str_is(item, "application/*") || str_equal_nocase(item, type))
            return true;
    }
    return !any;
}

bool
etags_match(struct str list, struct str digest)
{
    struct str item;

    while (str_split(&list, ',', &item)) {
        item = str_trim(item);
        if (str_is(item, "*"))
            return true;
        if (str_starts(item, STR("W/")))
            item = str_slice(item, 2, item.len);
        if (item.len > 2 && item.at[0] == '"' && item.at[item.len - 1] == '"' &&
            str_equal(str_slice(item, 1, item.len - 1), digest))
            return true;
    }
    return false;
}
