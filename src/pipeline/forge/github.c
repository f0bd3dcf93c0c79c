/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/github.h"

#include <ctype.h>
#include <stdio.h>
#include "base/crypto.h"
#include "base/log.h"
#include "base/uri.h"
#include "io/file.h"
#include "pipeline/build.h"

bool
github_signature_is_valid(struct str secret, struct str body, struct str header)
{
    unsigned char mac[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    if (secret.len == 0 || !str_starts(header, STR("sha256=")) || header.len != 7 + SHA256_HEX)
        return false;
    hmac_sha256(secret, body, mac);
    hex_encode(mac, sizeof(mac), hex);
    return crypto_equal(str_slice(header, 7, header.len), str_of(hex));
}

bool
github_payload(struct str body, struct str content_type, struct strbuf *out, struct err *err)
{
    if (str_starts(content_type, STR("application/x-www-form-urlencoded"))) {
        if (uri_query_get(body, "payload", out))
            return true;
        return err_set(err, ERR_BAD_REQUEST, "the form has no field 'payload'");
    }
    if (content_type.len > 0 && !str_starts(content_type, STR("application/json")))
        return err_set(err, ERR_BAD_REQUEST, "content type '" STR_FMT "' is not understood",
                       STR_ARG(str_slice(content_type, 0, 100)));
    strbuf_add(out, body);
    return true;
}

/* A text member; missing or of another type is the sender's mistake. */
static bool
member(const struct json *object, const char *key, const char **out, struct err *err)
{
    *out = json_cstr(json_get(object, key), NULL);
    if (*out != NULL)
        return true;
    return err_set(err, ERR_BAD_REQUEST, "the payload has no text '%s'", key);
}

static void
add_paths(struct github_push *p, const struct json *list)
{
    for (size_t i = 0; i < json_size(list) && p->path_count < BUILD_PATHS_MAX; i++) {
        const char *path = json_cstr(json_at(list, i), NULL);
        bool seen = path == NULL;
        for (size_t k = 0; k < p->path_count && !seen; k++)
            seen = strcmp(p->paths[k], path) == 0;
        if (seen)
            continue;
        if (p->paths == NULL)
            p->paths = mem_new(BUILD_PATHS_MAX * sizeof(*p->paths));
        p->paths[p->path_count++] = text_dup(path);
    }
}

void
github_copy_line(char *to, size_t size, const char *from)
{
    size_t n = 0;

    for (; from != NULL && *from != '\0' && *from != '\n' && n + 1 < size; from++)
        to[n++] = iscntrl((unsigned char)*from) ? ' ' : *from;
    /* Not in the middle of a character. */
    if (n + 1 == size)
        while (n > 0 && ((unsigned char)to[n - 1] & 0x80) != 0)
            n--;
    to[n] = '\0';
}

static bool
parse(const struct json *j, struct github_push *out, struct err *err)
{
    const char *ref, *after, *repository;
    const struct json *commits = json_get(j, "commits"), *head = json_get(j, "head_commit");

    if (!member(j, "ref", &ref, err) || !member(j, "after", &after, err) ||
        !member(json_get(j, "repository"), "full_name", &repository, err))
        return err_context(err, "push event");
    if (!text_copy(out->repository, sizeof(out->repository), str_of(repository)))
        return err_set(err, ERR_BAD_REQUEST, "the repository's name is too long");
    out->is_deleted = json_get_bool(j, "deleted", false) || strspn(after, "0") == strlen(after);
    out->is_branch = str_starts(str_of(ref), STR("refs/heads/"));
    if (!out->is_branch || out->is_deleted)
        return true;
    if (!build_branch_is_valid(str_of(ref + 11)) ||
        !text_copy(out->branch, sizeof(out->branch), str_of(ref + 11)))
        return err_set(err, ERR_BAD_REQUEST, "the branch of the push is not a valid name");
    if (!build_commit_is_valid(str_of(after)) ||
        !text_copy(out->commit, sizeof(out->commit), str_of(after)))
        return err_set(err, ERR_BAD_REQUEST, "'after' of the push is not a commit id");
    /* Only a hint at the order of pushes: what is no commit says nothing. */
    if (build_commit_is_valid(str_of(json_get_cstr(j, "before", ""))))
        (void)text_copy(out->before, sizeof(out->before), str_of(json_get_cstr(j, "before", "")));
    github_copy_line(out->message, sizeof(out->message), json_get_cstr(head, "message", ""));
    github_copy_line(out->author, sizeof(out->author),
                     json_get_cstr(json_get(head, "author"), "name", ""));
    for (size_t i = 0; i < json_size(commits); i++) {
        const struct json *one = json_at(commits, i);
        add_paths(out, json_get(one, "added"));
        add_paths(out, json_get(one, "removed"));
        add_paths(out, json_get(one, "modified"));
    }
    return true;
}

bool
github_push_parse(struct str body, struct github_push *out, struct err *err)
{
    cleanup_json struct json *j = json_parse(body, err);

    *out = (struct github_push){0};
    if (j == NULL)
        return false;
    if (json_type(j) != JSON_OBJECT)
        return err_set(err, ERR_BAD_REQUEST, "the payload is not a JSON object");
    if (parse(j, out, err))
        return true;
    github_push_done(out);
    return false;
}

void
github_push_done(struct github_push *p)
{
    for (size_t i = 0; i < p->path_count; i++)
        free(p->paths[i]);
    free(p->paths);
    p->paths = NULL;
    p->path_count = 0;
}

static bool
is_list_of_ids(const struct json *j)
{
    for (size_t i = 0; i < json_size(j); i++)
        if (json_type(json_at(j, i)) != JSON_TEXT)
            return false;
    return json_type(j) == JSON_ARRAY;
}

/* What was seen is not known any more: a webhook that comes a second time finds its build by its commit. */
static bool
set_aside(struct github_deliveries *d, struct err *err)
{
    cleanup_free char *aside = text_format("%s.damaged", d->path);

    log_error("pipeline.deliveries", "path=%s set_aside=%s error=%s", d->path, aside,
              log_quote(err->message));
    json_unref(d->ids);
    d->ids = json_array();
    return rename(d->path, aside) == 0 || err_errno(err, "cannot set '%s' aside", d->path);
}

bool
github_deliveries_open(struct github_deliveries *d, const char *path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    *d = (struct github_deliveries){.path = text_dup(path)};
    if (!file_exists(path)) {
        d->ids = json_array();
        return true;
    }
    if (!file_read(path, (size_t)1 << 20, &text, err))
        return set_aside(d, err);
    d->ids = json_parse(strbuf_str(&text), err);
    if (d->ids != NULL && is_list_of_ids(d->ids))
        return true;
    if (d->ids != NULL)
        err_set(err, ERR_INTERNAL, "not a list of ids");
    return set_aside(d, err);
}

bool
github_deliveries_has(const struct github_deliveries *d, struct str id)
{
    for (size_t i = 0; i < json_size(d->ids); i++)
        if (str_is(id, json_cstr(json_at(d->ids, i), "")))
            return true;
    return false;
}

bool
github_deliveries_add(struct github_deliveries *d, struct str id, struct err *err)
{
    size_t count = json_size(d->ids);
    size_t from = count >= GITHUB_DELIVERIES_MAX ? count - GITHUB_DELIVERIES_MAX + 1 : 0;
    struct json *ids = json_array();
    cleanup_free char *text = NULL;

    for (size_t i = from; i < count; i++)
        json_append(ids, json_ref(json_at(d->ids, i)));
    json_append(ids, json_str(id));
    json_unref(d->ids);
    d->ids = ids;
    text = json_format(ids);
    return file_write_atomic(d->path, str_of(text), 0640, err);
}

void
github_deliveries_done(struct github_deliveries *d)
{
    free(d->path);
    json_unref(d->ids);
}
