/* SPDX-License-Identifier: MIT */
/* elbv2_revocation.c - which clients' certificates a trust store does not believe any more.
 * A file of revocation lists is read once, when it is added, as a trust store's bundle is. */
#include "api/elbv2.h"

#include "base/x509.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)

static inline void
free_store_(struct trust_store **t)
{
    trust_store_free(*t);
}

int64_t
elb_revoked_entries(const struct trust_store *t)
{
    int64_t sum = 0;

    for (size_t i = 0; i < json_size(t->revocations); i++)
        sum += json_get_i64(json_at(t->revocations, i), "NumberOfRevokedEntries", 0);
    return sum;
}

static int64_t
id_of(const struct json *revocation)
{
    return json_get_i64(revocation, "RevocationId", 0);
}

const struct json *
elb_find_revocation(const struct trust_store *t, int64_t id)
{
    for (size_t i = 0; i < json_size(t->revocations); i++)
        if (id_of(json_at(t->revocations, i)) == id)
            return json_at(t->revocations, i);
    return NULL;
}

static struct json *
revocation_json(const struct trust_store *t, const struct json *revocation)
{
    struct json *o = json_object();

    json_set(o, "TrustStoreArn", json_text(t->arn));
    json_set(o, "RevocationId", json_int(id_of(revocation)));
    json_set(o, "RevocationType", json_text("CRL"));
    json_set(o, "NumberOfRevokedEntries", json_int(json_get_i64(revocation, "NumberOfRevokedEntries", 0)));
    return o;
}

/* A copy that may be changed and put. */
static struct trust_store *
copy_given(const struct request *rq, struct err *err)
{
    const struct trust_store *old = elb_find_trust_store(rq, json_get_cstr(rq->input, "TrustStoreArn", ""), err);
    cleanup_json struct json *row = old == NULL ? NULL : trust_store_encode(old);

    return row == NULL ? NULL : trust_store_decode(row, err);
}

static void
put(struct request *rq, struct trust_store *t, struct json *revocations)
{
    const struct event event = {.type = EVENT_TRUST_STORE_PUT, .trust_store_put = {.trust_store = t}};

    json_unref(t->revocations);
    t->revocations = revocations;
    request_step(rq, &event);
}

/* ---- adding ---- */

static bool
read_lists(const struct request *rq, const struct trust_store *t, const struct json *content, struct strbuf *out,
           int64_t *entries_out, struct err *err)
{
    const struct elb_object object = {
        .what = "revocation file",
        .bucket = json_get_cstr(content, "S3Bucket", ""),
        .key = json_get_cstr(content, "S3Key", ""),
        .version = json_get_cstr(content, "S3ObjectVersion", NULL),
        .version_member = "S3ObjectVersion",
        .size_max = FILE_SIZE_MAX,
        .not_found = ERR_REVOCATION_CONTENT_NOT_FOUND,
        .invalid = ERR_INVALID_REVOCATION_CONTENT,
    };
    cleanup(strbuf_done) struct strbuf file = {0};
    struct err why = {0};

    if (!elb_read_object(rq, &object, &file, err))
        return false;
    *entries_out = x509_read_revocations(strbuf_str(&file), str_of(json_cstr(t->bundle, "")), out, &why);
    return *entries_out >= 0 ||
           err_set(err, ERR_INVALID_REVOCATION_CONTENT, "The revocation file is invalid: %s", why.message);
}

/* Onto the end of `all`. */
static bool
add_one(const struct request *rq, struct trust_store *t, const struct json *content, struct json *all, struct err *err)
{
    cleanup(strbuf_done) struct strbuf lists = {0};
    struct json *revocation;
    int64_t entries;

    if (!read_lists(rq, t, content, &lists, &entries, err))
        return false;
    revocation = json_object();
    json_set(revocation, "RevocationId", json_int(++t->last_revocation_id));
    json_set(revocation, "NumberOfRevokedEntries", json_int(entries));
    json_set(revocation, "Lists", json_str(strbuf_str(&lists)));
    json_append(all, revocation);
    return true;
}

static bool
check_count(const struct json *all, struct err *err)
{
    const struct trust_store t = {.revocations = (struct json *)all};

    if (json_size(all) > REVOCATIONS_PER_TRUST_STORE)
        return err_set(err, ERR_TOO_MANY_REVOCATION_ENTRIES, "The limit of %d revocation files a trust store is reached",
                       REVOCATIONS_PER_TRUST_STORE);
    return elb_revoked_entries(&t) <= REVOKED_ENTRIES_PER_TRUST_STORE ||
           err_set(err, ERR_TOO_MANY_REVOCATION_ENTRIES, "The limit of %d revoked certificates a trust store is reached",
                   REVOKED_ENTRIES_PER_TRUST_STORE);
}

bool
elb_add_trust_store_revocations(struct request *rq, struct json *out, struct err *err)
{
    const struct json *contents = json_get(rq->input, "RevocationContents");
    cleanup(free_store_) struct trust_store *t = copy_given(rq, err);
    cleanup_json struct json *all = NULL, *added = json_array();
    size_t before;

    if (t == NULL)
        return false;
    if (json_size(contents) == 0)
        return err_set(err, ERR_ELB_VALIDATION, "A revocation file must be specified");
    all = t->revocations != NULL ? json_copy(t->revocations) : json_array();
    before = json_size(all);
    for (size_t i = 0; i < json_size(contents) && json_size(all) <= REVOCATIONS_PER_TRUST_STORE; i++)
        if (!add_one(rq, t, json_at(contents, i), all, err))
            return false;
    if (!check_count(all, err))
        return false;
    for (size_t i = before; i < json_size(all); i++)
        json_append(added, revocation_json(t, json_at(all, i)));
    json_set(out, "TrustStoreRevocations", TAKE(added));
    put(rq, TAKE(t), TAKE(all));
    return true;
}

/* ---- describing and removing ---- */

static bool
is_listed(const struct json *ids, int64_t id)
{
    for (size_t i = 0; i < json_size(ids); i++)
        if (json_i64(json_at(ids, i), 0) == id)
            return true;
    return false;
}

static bool
check_ids(const struct trust_store *t, const struct json *ids, struct err *err)
{
    for (size_t i = 0; i < json_size(ids); i++) {
        const int64_t id = json_i64(json_at(ids, i), 0);

        if (elb_find_revocation(t, id) == NULL)
            return err_set(err, ERR_REVOCATION_ID_NOT_FOUND, "Revocation '%lld' not found in trust store '%s'",
                           (long long)id, t->name);
    }
    return true;
}

/* In the order of their ids, which is that of the list. */
bool
elb_describe_trust_store_revocations(struct request *rq, struct json *out, struct err *err)
{
    const struct json *ids = json_get(rq->input, "RevocationIds");
    const struct trust_store *t = elb_find_trust_store(rq, json_get_cstr(rq->input, "TrustStoreArn", ""), err);
    cleanup_json struct json *chosen = json_array();
    struct page page;
    int64_t after = 0;

    if (t == NULL || !page_read(rq, "", &page, err) || !check_ids(t, ids, err))
        return false;
    if (page.after[0] != '\0' && !str_to_i64(str_of(page.after), &after))
        return err_set(err, ERR_ELB_VALIDATION, "The marker '%.100s' is not valid", page.after);
    for (size_t i = 0; i < json_size(t->revocations); i++) {
        const struct json *revocation = json_at(t->revocations, i);

        if (id_of(revocation) <= after || (json_size(ids) > 0 && !is_listed(ids, id_of(revocation))))
            continue;
        if ((int64_t)json_size(chosen) == page.size) {
            cleanup_free char *marker =
                text_format("%lld", (long long)id_of(json_at(chosen, json_size(chosen) - 1)));
            json_set(out, "NextMarker", json_text(marker));
            break;
        }
        json_append(chosen, revocation_json(t, revocation));
    }
    json_set(out, "TrustStoreRevocations", TAKE(chosen));
    return true;
}

bool
elb_remove_trust_store_revocations(struct request *rq, struct json *out, struct err *err)
{
    const struct json *ids = json_get(rq->input, "RevocationIds");
    cleanup(free_store_) struct trust_store *t = copy_given(rq, err);
    cleanup_json struct json *left = json_array();

    if (t == NULL || !check_ids(t, ids, err))
        return false;
    for (size_t i = 0; i < json_size(t->revocations); i++)
        if (!is_listed(ids, id_of(json_at(t->revocations, i))))
            json_append(left, json_ref(json_at(t->revocations, i)));
    put(rq, TAKE(t), TAKE(left));
    return true;
}
