/* SPDX-License-Identifier: MIT */
#include "model/image_ref.h"
#include <stdio.h>

#define ACCOUNT_DIGITS 12

/* The part before the first '/' is a host if it looks like one: that is Docker's own rule. */
static struct str
host_of(struct str name)
{
    const ptrdiff_t slash = str_index(name, '/');

    if (slash <= 0)
        return (struct str){0};
    const struct str first = str_slice(name, 0, (size_t)slash);
    if (str_index(first, '.') >= 0 || str_index(first, ':') >= 0 || str_is(first, "localhost"))
        return first;
    return (struct str){0};
}

static bool
is_localhost(struct str host, unsigned registry_port)
{
    char local[32];

    (void)snprintf(local, sizeof(local), "localhost:%u", registry_port);
    if (str_is(host, local))
        return true;
    (void)snprintf(local, sizeof(local), "127.0.0.1:%u", registry_port);
    return str_is(host, local);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

char *
image_ref_ecr_host_of(struct str account, struct str region)
{
    return text_format(STR_FMT ".dkr.ecr." STR_FMT ".amazonaws.com", STR_ARG(account), STR_ARG(region));
}

size_t
image_ref_ecr_host(struct str text, struct str *region_out)
{
    const struct str service = STR(".dkr.ecr."), domain = STR(".amazonaws.com"), china = STR(".cn");
    size_t at = 0;

    while (at < text.len && is_digit(text.at[at]))
        at++;
    if (at != ACCOUNT_DIGITS || !str_starts(str_slice(text, at, text.len), service))
        return 0;
    const size_t region = at += service.len;
    while (at < text.len && (is_digit(text.at[at]) || text.at[at] == '-' || (text.at[at] >= 'a' && text.at[at] <= 'z')))
        at++;
    if (at == region || !str_starts(str_slice(text, at, text.len), domain))
        return 0;
    *region_out = str_slice(text, region, at);
    at += domain.len;
    return str_starts(str_slice(text, at, text.len), china) ? at + china.len : at;
}

/* Empty if `host` is no ECR name. */
static struct str
ecr_region(struct str host)
{
    struct str region;

    return host.len > 0 && image_ref_ecr_host(host, &region) == host.len ? region : (struct str){0};
}

/* Takes our registry's host, and an ECR name behind localhost, off the front of `*name`.
 * `*region` is set if a name says one. False: another registry's image. */
static bool
cut_own_registry(struct str *name, const struct image_home *home, struct str *region)
{
    const struct str host = host_of(*name);

    if (host.len == 0)
        return false;
    *region = ecr_region(host);
    if (region->len == 0 && !is_localhost(host, home->registry_port))
        return false;
    *name = str_slice(*name, host.len + 1, name->len);
    if (region->len == 0) {
        const struct str inner = host_of(*name);

        *region = ecr_region(inner);
        if (region->len > 0)
            *name = str_slice(*name, inner.len + 1, name->len);
    }
    return true;
}

static bool
format_own_name(struct str repository, struct str region, const struct image_home *home,
                char *out, size_t size)
{
    const bool is_home = region.len == 0 || str_is(region, home->region);
    cleanup_free char *host = is_home ? NULL : image_ref_ecr_host_of(str_of(home->account), region);
    const int n = snprintf(out, size, "localhost:%u/%s%s" STR_FMT, home->registry_port, is_home ? "" : host,
                           is_home ? "" : "/", STR_ARG(repository));

    return n > 0 && (size_t)n < size && repository.len > 0;
}

bool
image_ref_parse(const char *image, const char *digest, const struct image_home *home,
                struct image_ref *out, struct err *err)
{
    struct image_ref ref = {0};
    struct str rest = str_of(image), tag = {0}, region = {0}, pinned = str_of(digest);
    const ptrdiff_t at = str_index(rest, '@');

    if (at >= 0) {
        if (pinned.len == 0)
            pinned = str_slice(rest, (size_t)at + 1, rest.len);
        rest = str_slice(rest, 0, (size_t)at);
    }
    const ptrdiff_t colon = str_rindex(rest, ':'), slash = str_rindex(rest, '/');
    if (colon > slash) {
        tag = str_slice(rest, (size_t)colon + 1, rest.len);
        rest = str_slice(rest, 0, (size_t)colon);
    }
    ref.is_ours = cut_own_registry(&rest, home, &region);
    if (ref.is_ours) {
        if (!format_own_name(rest, region, home, ref.name, sizeof(ref.name)) ||
            !text_copy(ref.repository, sizeof(ref.repository), rest) ||
            !text_copy(ref.region, sizeof(ref.region), region.len > 0 ? region : str_of(home->region)))
            return err_set(err, ERR_CLIENT, "invalid image name '%s'", image);
    } else if (rest.len == 0 || !text_copy(ref.name, sizeof(ref.name), rest)) {
        return err_set(err, ERR_CLIENT, "invalid image name '%s'", image);
    }
    if (pinned.len > 0) {
        if (!str_starts(pinned, STR("sha256:")) || !text_copy(ref.digest, sizeof(ref.digest), pinned))
            return err_set(err, ERR_CLIENT, "invalid image digest in '%s'", image);
    } else if (!text_copy(ref.tag, sizeof(ref.tag), tag.len > 0 ? tag : STR("latest"))) {
        return err_set(err, ERR_CLIENT, "invalid image tag in '%s'", image);
    }
    cleanup_free char *full = text_format("%s%s%s", ref.name, pinned.len > 0 ? "@" : ":",
                                          pinned.len > 0 ? ref.digest : ref.tag);
    if (!text_copy(ref.full, sizeof(ref.full), str_of(full)))
        return err_set(err, ERR_CLIENT, "the image name '%.200s' is too long", image);
    *out = ref;
    return true;
}

static struct str
familiar(struct str name)
{
    static const char *const prefixes[] = {"docker.io/", "index.docker.io/", "library/"};

    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++)
        if (str_starts(name, str_of(prefixes[i])))
            name = str_slice(name, strlen(prefixes[i]), name.len);
    return name;
}

bool
image_ref_same_name(struct str a, struct str b)
{
    return str_equal(familiar(a), familiar(b));
}

void
image_ref_repo_digest(const struct image_ref *ref, const struct json *repo_digests,
                      char out[static DIGEST_SIZE])
{
    out[0] = '\0';
    for (size_t i = 0; i < json_size(repo_digests) && i < 1000; i++) {
        const struct str entry = str_of(json_cstr(json_at(repo_digests, i), ""));
        const ptrdiff_t at = str_index(entry, '@');

        if (at > 0 && image_ref_same_name(str_slice(entry, 0, (size_t)at), str_of(ref->name)) &&
            text_copy(out, DIGEST_SIZE, str_slice(entry, (size_t)at + 1, entry.len)))
            return;
    }
}
