/* SPDX-License-Identifier: MIT */
/* osv_range.c - is a version among those that a record names? The algorithm is the OSV schema's
 * "evaluation": a range's events in the order of their versions switch it on and off. */
#include "registry/scan/osv.h"
#include "registry/scan/osv_version.h"

enum event_kind { EVENT_INTRODUCED, EVENT_LAST_AFFECTED, EVENT_FIXED };
struct event {
    struct str version;
    enum event_kind kind;
};

static bool
event_read(const struct json *j, struct event *out)
{
    static const char *const names[] = {"introduced", "last_affected", "fixed"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *version = json_get_cstr(j, names[i], NULL);
        if (version == NULL)
            continue;
        *out = (struct event){str_of(version), (enum event_kind)i};
        return true;
    }
    return false; /* "limit", which bounds the enumeration of commits only */
}

static int
event_order(const struct event *a, const struct event *b, version_compare *compare)
{
    const bool zero_a = a->kind == EVENT_INTRODUCED && str_is(a->version, "0");
    const bool zero_b = b->kind == EVENT_INTRODUCED && str_is(b->version, "0");

    if (zero_a || zero_b) /* "0" is before every version, also before 0 itself */
        return zero_b - zero_a;
    const int order = compare(a->version, b->version);
    return order != 0 ? order : (int)a->kind - (int)b->kind;
}

/* Few and mostly in order already. */
static size_t
events_sort(const struct json *list, struct event *events, version_compare *compare)
{
    size_t count = 0;

    for (size_t i = 0; i < json_size(list) && count < OSV_EVENTS_MAX; i++) {
        struct event e;
        if (!event_read(json_at(list, i), &e))
            continue;
        size_t at = count++;
        for (; at > 0 && event_order(&e, &events[at - 1], compare) < 0; at--)
            events[at] = events[at - 1];
        events[at] = e;
    }
    return count;
}

static bool
range_holds(const struct json *range, version_compare *compare, struct str version,
            struct str *fixed_out)
{
    const struct json *list = json_get(range, "events");
    cleanup_free struct event *events = mem_new((json_size(list) + 1) * sizeof *events);
    const size_t count = events_sort(list, events, compare);
    bool is_in = false;

    *fixed_out = (struct str){0};
    for (size_t i = 0; i < count; i++) {
        const struct event *e = &events[i];
        const bool is_zero = e->kind == EVENT_INTRODUCED && str_is(e->version, "0");
        const int order = is_zero ? 1 : compare(version, e->version);
        if (e->kind == EVENT_INTRODUCED && order >= 0)
            is_in = true;
        else if ((e->kind == EVENT_FIXED && order >= 0) ||
                 (e->kind == EVENT_LAST_AFFECTED && order > 0))
            is_in = false;
        else if (is_in && e->kind == EVENT_FIXED) {
            *fixed_out = e->version;
            return true;
        } else if (is_in) {
            return true;
        }
    }
    return is_in;
}

bool
osv_is_affected(const struct json *affected, struct str ecosystem, struct str version,
                struct str *fixed_out)
{
    version_compare *compare = version_compare_of(ecosystem);
    const struct json *ranges = json_get(affected, "ranges"),
                      *versions = json_get(affected, "versions");
    struct str fixed = {0};

    if (fixed_out != NULL)
        *fixed_out = fixed;
    if (compare == NULL)
        return false;
    for (size_t i = 0; i < json_size(ranges); i++) {
        const struct json *range = json_at(ranges, i);
        if (strcmp(json_get_cstr(range, "type", ""), "GIT") == 0 ||
            !range_holds(range, compare, version, &fixed))
            continue;
        if (fixed_out != NULL)
            *fixed_out = fixed;
        return true;
    }
    for (size_t i = 0; i < json_size(versions); i++) {
        const struct str one = str_of(json_cstr(json_at(versions, i), NULL));
        if (one.at != NULL && (str_equal(one, version) || compare(one, version) == 0))
            return true;
    }
    return false;
}

/* "https://github.com/apple/swift-nio.git" is "github.com/apple/swift-nio" in OSV's records. */
static struct str
url_bare(struct str url)
{
    const ptrdiff_t scheme = str_find(url, STR("://"));

    if (scheme >= 0)
        url = str_slice(url, (size_t)scheme + 3, url.len);
    if (url.len > 0 && url.at[url.len - 1] == '/')
        url.len--;
    return str_ends(url, STR(".git")) ? str_slice(url, 0, url.len - 4) : url;
}

void
osv_package_name(struct str ecosystem, struct str name, struct strbuf *out)
{
    const bool is_python = str_is(ecosystem, "PyPI"), is_url = str_is(ecosystem, "SwiftURL");
    const bool folds =
        is_python || is_url || str_is(ecosystem, "Packagist") || str_is(ecosystem, "NuGet");
    bool was_mark = false;

    if (is_url)
        name = url_bare(name);

    for (size_t i = 0; i < name.len; i++) {
        const char c = name.at[i];
        const bool is_mark = is_python && (c == '-' || c == '_' || c == '.');
        if (is_mark && !was_mark)
            strbuf_add_char(out, '-');
        else if (!is_mark)
            strbuf_add_char(out, (char)(folds && c >= 'A' && c <= 'Z' ? c + 32 : c));
        was_mark = is_mark;
    }
}
