/* SPDX-License-Identifier: MIT */
/* elbv2_trust_store.c - trust stores, and the listeners that verify clients by one.
 * A bucket is the folder of that name in s3/ of the data directory, an object a file in it.  It is read once, when the
 * trust store is made or changed; what becomes of the file later changes nothing. */
#include "api/elbv2.h"

#include "base/random.h"
#include "base/x509.h"
#include "io/file.h"
#include "model/log_place.h"

#define BUNDLE_SIZE_MAX ((size_t)512 * 1024) /* 25 certificates of 16 KB, and what stands around them */

/* ---- finding and describing ---- */

struct trust_store *
elb_find_trust_store(const struct request *rq, const char *arn, struct err *err)
{
    struct trust_store *t = request_is_region_of(rq, arn) ? core_trust_store(rq->core, arn) : NULL;

    if (t == NULL && !elb_arn_is_of(arn, "truststore/"))
        err_set(err, ERR_ELB_VALIDATION, "'%s' is not a valid trust store ARN", arn);
    else if (t == NULL)
        err_set(err, ERR_TRUST_STORE_NOT_FOUND, "Trust store '%s' not found", arn);
    return t;
}

static struct trust_store *
find_given(const struct request *rq, struct err *err)
{
    return elb_find_trust_store(rq, json_get_cstr(rq->input, "TrustStoreArn", ""), err);
}

static const struct trust_store *
find_named(const struct request *rq, const char *name)
{
    for (const struct trust_store *t = rq->core->trust_stores; t != NULL; t = t->next)
        if (request_is_region_of(rq, t->arn) && strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

static struct json *
trust_store_json(const struct trust_store *t)
{
    struct json *o = json_object();

    json_set(o, "Name", json_text(t->name));
    json_set(o, "TrustStoreArn", json_text(t->arn));
    json_set(o, "Status", json_text("ACTIVE"));
    json_set(o, "NumberOfCaCertificates", json_int(t->certificate_count));
    json_set(o, "TotalRevokedEntries", json_int(elb_revoked_entries(t)));
    return o;
}

static bool
describe_named(const struct request *rq, const struct json *names, struct json *all, struct err *err)
{
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct trust_store *t = find_named(rq, name);

        if (t == NULL)
            return err_set(err, ERR_TRUST_STORE_NOT_FOUND, "Trust store '%s' not found", name);
        json_append(all, trust_store_json(t));
    }
    return true;
}

static bool
describe_by_arn(const struct request *rq, const struct json *arns, struct json *all, struct err *err)
{
    for (size_t i = 0; i < json_size(arns); i++) {
        const struct trust_store *t = elb_find_trust_store(rq, json_cstr(json_at(arns, i), ""), err);

        if (t == NULL)
            return false;
        json_append(all, trust_store_json(t));
    }
    return true;
}

bool
elb_describe_trust_stores(struct request *rq, struct json *out, struct err *err)
{
    const struct json *names = json_get(rq->input, "Names"), *arns = json_get(rq->input, "TrustStoreArns");
    cleanup_json struct json *all = json_array();
    struct page page;

    if (!page_read(rq, "arn:", &page, err))
        return false;
    if (json_size(names) > 0 && json_size(arns) > 0)
        return err_set(err, ERR_ELB_VALIDATION, "Trust store names and ARNs cannot be given together");
    if (!describe_named(rq, names, all, err) || !describe_by_arn(rq, arns, all, err))
        return false;
    for (const struct trust_store *t = rq->core->trust_stores; t != NULL; t = t->next)
        if (json_size(names) + json_size(arns) == 0 && request_is_region_of(rq, t->arn))
            json_append(all, trust_store_json(t));
    page_write(&page, sorted_by(TAKE(all), "TrustStoreArn"), "TrustStoreArn", "TrustStores", out);
    return true;
}

/* Load balancers, each once. */
bool
elb_describe_trust_store_associations(struct request *rq, struct json *out, struct err *err)
{
    const struct trust_store *t = find_given(rq, err);
    cleanup_json struct json *all = json_array();
    struct page page;

    if (t == NULL || !page_read(rq, "arn:", &page, err))
        return false;
    for (const struct listener *l = rq->core->listeners; l != NULL; l = l->next) {
        struct json *o;

        if (strcmp(listener_trust_store(l), t->arn) != 0 ||
            json_find(all, "ResourceArn", l->load_balancer_arn) != NULL)
            continue;
        o = json_object();
        json_set(o, "ResourceArn", json_text(l->load_balancer_arn));
        json_append(all, o);
    }
    page_write(&page, sorted_by(TAKE(all), "ResourceArn"), "ResourceArn", "TrustStoreAssociations", out);
    return true;
}

/* ---- the bundle ---- */

bool
elb_read_object(const struct request *rq, const struct elb_object *object, struct strbuf *out, struct err *err)
{
    const char *data_dir = api_get_config(rq->api)->data_dir;
    cleanup_free char *root = NULL, *below = NULL;
    struct err why = {0};

    if (object->version != NULL)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "%s cannot be had in naru: a bucket is a folder, and its files have no versions",
                       object->version_member);
    if (!object_place_check(object->bucket, object->key, &why) || data_dir == NULL)
        return err_set(err, object->not_found, "The %s is not found: %s", object->what,
                       data_dir == NULL ? "there is no data directory" : why.message);
    root = text_format("%s/s3", data_dir);
    below = text_format("%s/%s", object->bucket, object->key);
    if (file_read_below(root, below, object->size_max, out, &why))
        return true;
    return err_set(err, why.code == ERR_LIMIT_EXCEEDED ? object->invalid : object->not_found, "The %s %s: %s",
                   object->what,
                   why.code == ERR_LIMIT_EXCEEDED ? "is invalid" : "is not found (a bucket is a folder of this machine)",
                   why.message);
}

static bool
read_bundle(const struct request *rq, struct strbuf *out, struct err *err)
{
    return elb_read_object(rq,
                           &(struct elb_object){
                               .what = "CA certificates bundle",
                               .bucket = json_get_cstr(rq->input, "CaCertificatesBundleS3Bucket", ""),
                               .key = json_get_cstr(rq->input, "CaCertificatesBundleS3Key", ""),
                               .version = json_get_cstr(rq->input, "CaCertificatesBundleS3ObjectVersion", NULL),
                               .version_member = "CaCertificatesBundleS3ObjectVersion",
                               .size_max = BUNDLE_SIZE_MAX,
                               .not_found = ERR_CA_BUNDLE_NOT_FOUND,
                               .invalid = ERR_INVALID_CA_BUNDLE,
                           },
                           out, err);
}

/* Reads it into the trust store. */
static bool
take_bundle(const struct request *rq, struct trust_store *t, struct err *err)
{
    cleanup(strbuf_done) struct strbuf file = {0}, bundle = {0};
    struct err why = {0};

    if (!read_bundle(rq, &file, err))
        return false;
    t->certificate_count = x509_read_authorities(strbuf_str(&file), &bundle, &why);
    if (t->certificate_count == 0)
        return err_set(err, ERR_INVALID_CA_BUNDLE, "The CA certificates bundle is invalid: %s", why.message);
    json_unref(t->bundle);
    t->bundle = json_str(strbuf_str(&bundle));
    return true;
}

/* ---- changing ---- */

static inline void
free_store_(struct trust_store **t)
{
    trust_store_free(*t);
}

static bool
check_new(const struct request *rq, const char *name, struct err *err)
{
    int count = 0;

    if (!elb_name_check("Trust store", name, true, err) || !elb_tags_check(json_get(rq->input, "Tags"), err))
        return false;
    if (find_named(rq, name) != NULL)
        return err_set(err, ERR_DUPLICATE_TRUST_STORE, "A trust store with the name '%s' already exists", name);
    for (const struct trust_store *t = rq->core->trust_stores; t != NULL; t = t->next)
        count += request_is_region_of(rq, t->arn);
    return count < TRUST_STORES_PER_REGION ||
           err_set(err, ERR_TOO_MANY_TRUST_STORES, "The limit of %d trust stores is reached", TRUST_STORES_PER_REGION);
}

static void
put(struct request *rq, struct trust_store *t, struct json *out)
{
    const struct event event = {.type = EVENT_TRUST_STORE_PUT, .trust_store_put = {.trust_store = t}};

    elb_answer_one(out, "TrustStores", trust_store_json(t));
    request_step(rq, &event);
}

bool
elb_create_trust_store(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "Name", "");
    cleanup(free_store_) struct trust_store *t = mem_new(sizeof(*t));
    char id[17];

    if (!check_new(rq, name, err) || !take_bundle(rq, t, err))
        return false;
    random_hex(id, 16);
    arn_format(t->arn, "elasticloadbalancing", rq->region, rq->account, "truststore/%s/%s", name, id);
    text_copy(t->name, sizeof(t->name), str_of(name));
    t->tags = json_get(rq->input, "Tags") != NULL ? json_copy(json_get(rq->input, "Tags")) : json_array();
    put(rq, TAKE(t), out);
    return true;
}

bool
elb_modify_trust_store(struct request *rq, struct json *out, struct err *err)
{
    const struct trust_store *old = find_given(rq, err);
    cleanup_json struct json *row = old == NULL ? NULL : trust_store_encode(old);
    cleanup(free_store_) struct trust_store *t = row == NULL ? NULL : trust_store_decode(row, err);

    if (t == NULL || !take_bundle(rq, t, err))
        return false;
    put(rq, TAKE(t), out);
    return true;
}

bool
elb_delete_trust_store(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "TrustStoreArn", "");
    const struct event event = {.type = EVENT_TRUST_STORE_DELETE, .trust_store_delete = {.arn = arn}};

    if (find_given(rq, err) == NULL)
        return false;
    if (core_trust_store_in_use(rq->core, arn))
        return err_set(err, ERR_TRUST_STORE_IN_USE, "Trust store '%s' is currently in use by a listener", arn);
    request_step(rq, &event);
    return true;
}

/* ---- listeners ---- */

/* Of the mode verify, as it is shown; NULL and err. */
static struct json *
accept_verify(const struct request *rq, const struct json *mutual, struct err *err)
{
    const char *arn = json_get_cstr(mutual, "TrustStoreArn", NULL);
    struct json *o;

    if (arn == NULL) {
        err_set(err, ERR_ELB_VALIDATION, "A trust store must be specified for the mode 'verify'");
        return NULL;
    }
    if (elb_find_trust_store(rq, arn, err) == NULL)
        return NULL;
    o = json_object();
    json_set(o, "Mode", json_text("verify"));
    json_set(o, "TrustStoreArn", json_text(arn));
    json_set(o, "IgnoreClientCertificateExpiry", json_bool(json_get_bool(mutual, "IgnoreClientCertificateExpiry", false)));
    json_set(o, "TrustStoreAssociationStatus", json_text("active"));
    json_set(o, "AdvertiseTrustStoreCaNames", json_text(json_get_cstr(mutual, "AdvertiseTrustStoreCaNames", "off")));
    return o;
}

static bool
check_without_store(const struct json *mutual, const char *mode, struct err *err)
{
    if (strcmp(mode, "off") != 0 && strcmp(mode, "passthrough") != 0)
        return err_set(err, ERR_ELB_VALIDATION, "Mutual authentication mode '%s' must be one of: off, passthrough, verify",
                       mode);
    if (json_get(mutual, "TrustStoreArn") != NULL || json_get_bool(mutual, "IgnoreClientCertificateExpiry", false) ||
        strcmp(json_get_cstr(mutual, "AdvertiseTrustStoreCaNames", "off"), "off") != 0)
        return err_set(err, ERR_ELB_VALIDATION, "A trust store, and what goes with it, can only be specified for the "
                                                "mode 'verify'");
    return true;
}

bool
elb_accept_mutual(const struct request *rq, struct listener *l, struct err *err)
{
    const struct json *mutual = json_get(rq->input, "MutualAuthentication");
    const char *mode = json_get_cstr(mutual, "Mode", "off");
    const bool is_tls = strcmp(l->protocol, "HTTPS") == 0;
    struct json *now = NULL;

    if (mutual != NULL && !is_tls)
        return err_set(err, ERR_ELB_VALIDATION, "Mutual authentication can only be specified for HTTPS listeners");
    if (mutual == NULL && is_tls)
        return true;
    if (strcmp(mode, "verify") == 0)
        now = accept_verify(rq, mutual, err);
    if (strcmp(mode, "verify") == 0 ? now == NULL : !check_without_store(mutual, mode, err))
        return false;
    if (strcmp(mode, "passthrough") == 0) {
        now = json_object();
        json_set(now, "Mode", json_text(mode));
    }
    json_unref(l->mutual);
    l->mutual = now;
    return true;
}

struct json *
elb_mutual_json(const struct listener *l)
{
    struct json *o;

    if (l->mutual != NULL)
        return json_ref(l->mutual);
    o = json_object();
    json_set(o, "Mode", json_text("off"));
    return o;
}
