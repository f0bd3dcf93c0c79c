/* SPDX-License-Identifier: MIT */
/* routes_blob.c - uploads (whole, in chunks, mounted) and downloads of blobs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/uri.h"
#include "registry/mirror/pull_through.h"
#include "registry/routes.h"

#define PIECE ((size_t)256 * 1024)

static const char *
upload_location(struct call *c, const struct upload *u)
{
    return arena_format(&c->x->arena, "/v2/" STR_FMT "/blobs/uploads/%s", STR_ARG(c->route.name),
                        u->id);
}

/* Where an upload stands: for the answers to POST, PATCH and GET. */
static void
upload_reply(struct call *c, const struct upload *u, int status)
{
    struct reply r = {0};

    reply_header(&r, "Location", upload_location(c, u));
    /* Nothing yet is also "0-0": the protocol has no words for an empty range. */
    reply_header(&r, "Range",
                 arena_format(&c->x->arena, "0-%lld", (long long)(u->size > 0 ? u->size - 1 : 0)));
    reply_header(&r, "Docker-Upload-UUID", arena_cstr(&c->x->arena, str_of(u->id)));
    reply_send(c, &r, status, (struct str){0});
}

static void
created_reply(struct call *c, const char *digest)
{
    struct reply r = {0};

    reply_header(
        &r, "Location",
        arena_format(&c->x->arena, "/v2/" STR_FMT "/blobs/%s", STR_ARG(c->route.name), digest));
    reply_header(&r, "Docker-Content-Digest", digest);
    reply_send(c, &r, 201, (struct str){0});
}

/* A 416 must say where the upload stands, so that the client can go on from there. */
static void
range_refuse(struct call *c, const struct err *err)
{
    struct reply r = {0};
    struct upload *u = c->upload;
    cleanup_json struct json *answer = json_object();
    struct json *one = json_object();

    json_set(one, "code", json_text(err_wire(err->code)));
    json_set(one, "message", json_text(err->message));
    json_set(one, "detail", json_text(NULL));
    json_set(answer, "errors", json_array());
    json_append(json_get(answer, "errors"), one);
    cleanup_free char *text = json_format(answer);
    reply_header(&r, "Content-Type", "application/json; charset=utf-8");
    reply_header(&r, "Location", upload_location(c, u));
    reply_header(&r, "Range",
                 arena_format(&c->x->arena, "0-%lld", (long long)(u->size > 0 ? u->size - 1 : 0)));
    reply_header(&r, "Docker-Upload-UUID", arena_cstr(&c->x->arena, str_of(u->id)));
    reply_send(c, &r, err_http(err->code), str_of(text));
}

/* ---- the head of an upload ---- */

/* Digest from the query: required by PUT. */
static bool
digest_query(struct call *c, const char **out, struct err *err)
{
    const char *digest = call_query(c, "digest");

    if (digest == NULL || !digest_is_valid(str_of(digest)))
        return err_set(err, ERR_DIGEST_INVALID, "the query has no valid 'digest'");
    *out = digest;
    return true;
}

static bool
chunk_check(struct call *c)
{
    struct str header = http_header_get(c->x, "Content-Range");
    int64_t first, last;
    struct err err = {0};

    if (header.at == NULL)
        return true;
    if (!content_range_parse(header, &first, &last)) {
        err_set(&err, ERR_RANGE_INVALID, "the Content-Range '" STR_FMT "' is not understood",
                STR_ARG(str_slice(header, 0, 80)));
        range_refuse(c, &err);
        return false;
    }
    if (first != c->upload->size) {
        err_set(&err, ERR_RANGE_INVALID, "the upload stands at byte %lld, the chunk begins at %lld",
                (long long)c->upload->size, (long long)first);
        range_refuse(c, &err);
        return false;
    }
    c->chunk_size = last - first + 1;
    if (c->x->body_size >= 0 && c->x->body_size != c->chunk_size) {
        err_set(&err, ERR_BLOB_UPLOAD_INVALID,
                "the Content-Range has %lld bytes, the Content-Length %lld",
                (long long)c->chunk_size, (long long)c->x->body_size);
        reply_error(c, &err);
        return false;
    }
    return true;
}

struct mount {
    struct call *call;
    struct str digest;
    bool is_found;
};

/* Goes on until a repository has the blob. */
static bool
mount_look(void *arg, const char *region, const char *name, struct err *err)
{
    struct mount *m = arg;

    (void)err;
    m->is_found = layer_is_linked(m->call->reg, region, name, m->digest) &&
                  call_may_read(m->call, region, name, str_of(name));
    return !m->is_found;
}

/* Does the repository `from` have it, or, if none is named, any? */
static bool
mount_source(struct call *c, struct str digest, const char *from)
{
    struct mount m = {.call = c, .digest = digest};
    struct str region, repository;
    char region_text[REGISTRY_REGION_SIZE], repository_text[REGISTRY_NAME_SIZE];

    if (from == NULL) {
        (void)!repository_each(c->reg, mount_look, &m, NULL);
        return m.is_found;
    }
    if (!registry_name_split(c->reg, str_of(from), &region, &repository))
        return false;
    if (str_equal(repository, str_of(from)))
        region = str_of(c->region); /* no region named: the one of the target */
    return text_copy(region_text, sizeof region_text, region) &&
           text_copy(repository_text, sizeof repository_text, repository) &&
           repository_check(c->reg, region_text, repository_text, NULL) &&
           layer_is_linked(c->reg, region_text, repository_text, digest) &&
           call_may_read(c, region_text, repository_text, str_of(from));
}

/* Layers of another repository need not travel: 201 if it has the blob, else (and also where the
 * arguments make no sense, as the specification wants it) an ordinary upload. */
static bool
mount_try(struct call *c, const char *digest, const char *from, bool *mounted_out, struct err *err)
{
    int64_t size;

    *mounted_out = false;
    if (!digest_is_valid(str_of(digest)) || !mount_source(c, str_of(digest), from) ||
        !blob_touch(c->reg, str_of(digest), &size))
        return true;
    if (!quota_mount(c->reg, c->region, c->repository, str_of(digest), size, err))
        return false;
    *mounted_out = true;
    return true;
}

static bool
post_begin(struct call *c, struct err *err)
{
    const char *mount = call_query(c, "mount"), *from = call_query(c, "from");
    const char *digest = call_query(c, "digest");
    bool mounted = false;

    if (mount != NULL && !mount_try(c, mount, from, &mounted, err))
        return false;
    if (mounted) {
        call_note(c, "registry.mount", "blob", mount);
        created_reply(c, mount);
        return true;
    }
    if (digest != NULL && !digest_is_valid(str_of(digest)))
        return err_set(err, ERR_DIGEST_INVALID, "'%.140s' is no digest", digest);
    if (!upload_start(c->reg, c->region, c->repository,
                      c->visitor.kind == VISITOR_KEY ? access_key_root_id(&c->visitor.key) : "", &c->upload, err))
        return false;
    c->upload_is_ours = true;
    c->receives = true;
    return upload_expects(c->reg, c->upload, c->x->body_size, err);
}

bool
blob_begin(struct call *c, struct err *err)
{
    const struct str method = c->x->method;

    if (c->route.kind == ROUTE_UPLOADS)
        return str_is(method, "POST")
                   ? post_begin(c, err)
                   : err_set(err, ERR_REGISTRY_UNSUPPORTED, "an upload begins with POST");
    if (!str_is(method, "PATCH") && !str_is(method, "PUT") && !str_is(method, "GET") &&
        !str_is(method, "DELETE"))
        return err_set(err, ERR_REGISTRY_UNSUPPORTED, "an upload knows GET, PATCH, PUT and DELETE");
    const char *digest = NULL;
    if (str_is(method, "PUT") && !digest_query(c, &digest, err))
        return false;
    if (!upload_take(c->reg, c->region, c->repository, c->route.argument, &c->upload, err))
        return false;
    c->receives = str_is(method, "PATCH") || str_is(method, "PUT");
    if (!c->receives || !chunk_check(c) || /* which has replied */
        upload_expects(c->reg, c->upload, c->x->body_size, err))
        return true;
    upload_discard(c->reg, TAKE(c->upload)); /* what came before it would lie there for a day */
    return false;
}

/* ---- the body ---- */

static void
upload_fail(struct call *c)
{
    c->has_failed = true;
    upload_discard(c->reg, c->upload);
    c->upload = NULL;
}

/* The server's pieces are small. In larger ones a gigabyte costs a third less processor time, and the
 * kernel keeps the file in larger pages, which makes pulls cheaper, too. */
static bool
piece_write(struct call *c)
{
    if (c->body.len > 0 && !upload_add(c->reg, c->upload, strbuf_str(&c->body), &c->err))
        upload_fail(c); /* the file and the hash may have parted */
    strbuf_clear(&c->body);
    return !c->has_failed;
}

void
blob_body(struct call *c, struct str data)
{
    if (c->chunk_size >= 0 && c->received > c->chunk_size) {
        err_set(&c->err, ERR_BLOB_UPLOAD_INVALID, "the chunk is longer than its Content-Range");
        upload_fail(c);
        return;
    }
    strbuf_add(&c->body, data);
    if (c->body.len >= PIECE)
        (void)piece_write(c);
}

void
blob_done(struct call *c)
{
    if (c->upload == NULL)
        return;
    if (c->receives && !c->upload_is_ours && !piece_write(c))
        return; /* and it is gone */
    /* A chunk that was cut off stays: the client asks where the upload stands and goes on. */
    if (c->upload_is_ours)
        upload_discard(c->reg, c->upload);
    else
        upload_release(c->reg, c->upload);
    c->upload = NULL;
}

/* ---- the end of an upload ---- */

static bool
chunk_is_short(struct call *c, struct err *err)
{
    if (c->chunk_size < 0 || c->received == c->chunk_size)
        return false;
    upload_discard(c->reg, TAKE(c->upload));
    err_set(err, ERR_BLOB_UPLOAD_INVALID, "the chunk has %lld bytes, its Content-Range %lld",
            (long long)c->received, (long long)c->chunk_size);
    return true;
}

static bool
upload_end(struct call *c, const char *digest, struct err *err)
{
    if (!upload_finish(c->reg, TAKE(c->upload), str_of(digest), err))
        return false;
    call_note(c, "registry.push", "blob", digest);
    created_reply(c, digest);
    return true;
}

static bool
uploads_end(struct call *c, struct err *err)
{
    const char *digest = call_query(c, "digest");

    if (digest != NULL)
        return upload_end(c, digest, err);
    if (c->received > 0)
        return err_set(err, ERR_BLOB_UPLOAD_INVALID, "a POST with a body needs the query 'digest'");
    c->upload_is_ours = false; /* it outlives this request */
    upload_reply(c, c->upload, 202);
    return true;
}

static bool
one_upload_end(struct call *c, struct err *err)
{
    const struct str method = c->x->method;
    struct reply r = {0};
    const char *digest = NULL;

    if (str_is(method, "GET")) {
        upload_reply(c, c->upload, 204);
        return true;
    }
    if (str_is(method, "DELETE")) {
        upload_discard(c->reg, TAKE(c->upload));
        reply_send(c, &r, 204, (struct str){0});
        return true;
    }
    if (chunk_is_short(c, err))
        return false;
    if (str_is(method, "PATCH")) {
        upload_reply(c, c->upload, 202);
        return true;
    }
    return digest_query(c, &digest, err) && upload_end(c, digest, err);
}

/* ---- blobs ---- */

static void
blob_headers(struct call *c, struct reply *r)
{
    reply_header(r, "Content-Type", "application/octet-stream");
    reply_header(r, "Docker-Content-Digest", c->argument);
    reply_header(r, "Etag", arena_format(&c->x->arena, "\"%s\"", c->argument));
    reply_header(r, "Accept-Ranges", "bytes");
    reply_header(r, "Cache-Control", "max-age=31536000");
    reply_header(r, "Docker-Distribution-Api-Version", "registry/2.0");
}

static bool
blob_unknown(const struct call *c, struct err *err)
{
    return err_set(err, ERR_BLOB_UNKNOWN, "the blob '%s' is not in the repository '%s'",
                   c->argument, c->repository);
}

/* A blob never changes: whoever has it under this digest has it. The answer has its length: a cache would believe another
 * one. */
static bool
blob_is_known(struct call *c, int64_t size)
{
    struct reply r = {0};

    if (!etags_match(http_header_get(c->x, "If-None-Match"), str_of(c->argument)))
        return false;
    blob_headers(c, &r);
    http_reply_file(c->x, 304, r.headers, -1, 0, size);
    return true;
}

static bool
blob_head(struct call *c, struct err *err)
{
    struct reply r = {0};
    int64_t size;

    /* HEAD asks before a push: an answer of yes is counted upon, so gc is told. */
    if (!layer_is_linked(c->reg, c->region, c->repository, str_of(c->argument)) ||
        !blob_touch(c->reg, str_of(c->argument), &size))
        return blob_unknown(c, err);
    if (blob_is_known(c, size))
        return true;
    blob_headers(c, &r);
    http_reply_file(c->x, 200, r.headers, -1, 0, size);
    return true;
}

static bool
blob_get(struct call *c, struct err *err)
{
    struct reply r = {0};
    int64_t size, first = 0, count;

    if (!layer_is_linked(c->reg, c->region, c->repository, str_of(c->argument))) {
        if (pull_blob(c, err))
            return true;
        if (err->code != ERR_NONE)
            return false;
    }
    if (!layer_is_linked(c->reg, c->region, c->repository, str_of(c->argument)) ||
        !blob_size(c->reg, str_of(c->argument), &size))
        return blob_unknown(c, err);
    if (blob_is_known(c, size))
        return true;
    cleanup_free char *path = blob_path(c->reg, str_of(c->argument));
    struct str condition = http_header_get(c->x, "If-Range");
    struct str range = condition.at == NULL || etags_match(condition, str_of(c->argument))
                           ? http_header_get(c->x, "Range")
                           : (struct str){0};
    enum range_kind kind = range_parse(range, size, &first, &count);
    blob_headers(c, &r);
    if (kind == RANGE_UNSATISFIABLE) {
        reply_header(&r, "Content-Range",
                     arena_format(&c->x->arena, "bytes */%lld", (long long)size));
        http_reply(c->x, 416, r.headers, (struct str){0});
        return true;
    }
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? blob_unknown(c, err) : err_errno(err, "cannot open a blob");
    if (kind == RANGE_PART)
        reply_header(&r, "Content-Range",
                     arena_format(&c->x->arena, "bytes %lld-%lld/%lld", (long long)first,
                                  (long long)(first + count - 1), (long long)size));
    else
        count = size;
    call_note(c, "registry.pull", "blob", c->argument);
    http_reply_file(c->x, kind == RANGE_PART ? 206 : 200, r.headers, fd, first, count);
    fd = -1; /* the server's now */
    return true;
}

static bool
blob_check_unneeded(struct call *c, struct json *known, struct err *err)
{
    const struct str digest = str_of(c->argument);
    bool is_named;

    if (!layer_is_linked(c->reg, c->region, c->repository, digest))
        return blob_unknown(c, err);
    if (!layer_is_named(c->reg, c->region, c->repository, digest, known, &is_named, err))
        return false;
    return !is_named || err_set(err, ERR_REGISTRY_UNSUPPORTED,
                                "an image of the repository needs the blob '%s'", c->argument);
}

static bool
blob_delete(struct call *c, struct err *err)
{
    cleanup_json struct json *known = json_object();
    struct reply r = {0};
    struct str digest = str_of(c->argument);

    /* All manifests are read before anybody has to wait: with the lock only those that came meanwhile are left. */
    if (!blob_check_unneeded(c, known, err))
        return false;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED =
        repository_lock(c->reg, c->region, c->repository);
    if (!blob_check_unneeded(c, known, err))
        return false;
    cleanup_free char *path = layer_path(c->reg, c->region, c->repository, digest);
    if (!disk_remove(path, err) || !disk_sync_parent(path, err))
        return false;
    call_note(c, "registry.delete", "blob", c->argument);
    reply_header(&r, "Docker-Content-Digest", c->argument);
    reply_send(c, &r, 202, (struct str){0});
    return true;
}

bool
blob_end(struct call *c, struct err *err)
{
    if (c->receives && c->upload != NULL && !piece_write(c)) {
        *err = c->err;
        return false;
    }
    if (c->route.kind == ROUTE_UPLOADS)
        return uploads_end(c, err);
    if (c->route.kind == ROUTE_UPLOAD)
        return one_upload_end(c, err);
    if (str_is(c->x->method, "HEAD"))
        return blob_head(c, err);
    if (str_is(c->x->method, "GET"))
        return blob_get(c, err);
    if (str_is(c->x->method, "DELETE"))
        return blob_delete(c, err);
    return err_set(err, ERR_REGISTRY_UNSUPPORTED, "a blob knows GET, HEAD and DELETE");
}
