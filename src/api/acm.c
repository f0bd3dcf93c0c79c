/* SPDX-License-Identifier: MIT */
/* acm.c - certificates: import, describe, get, delete, tags. */
#include "api/acm.h"

#include "base/crypto.h"
#include "base/random.h"
#include "base/x509.h"
#include "model/arn.h"

#define CERTIFICATES_MAX 2500 /* a region: the service's quota of imported ones */
#define TAGS_MAX 50

/* ---- finding ---- */

struct certificate *
acm_find(const struct request *rq, const char *arn, struct err *err)
{
    struct certificate *c = request_is_region_of(rq, arn) ? core_certificate(rq->core, arn) : NULL;
    struct arn parts;

    if (c != NULL)
        return c;
    if (!arn_parse(str_of(arn), &parts) || !str_is(parts.service, "acm") ||
        !str_starts(parts.resource, STR("certificate/")))
        err_set(err, ERR_INVALID_ARN, "'%s' is not the ARN of a certificate.", arn);
    else
        err_set(err, ERR_RESOURCE_NOT_FOUND, "Could not find certificate %s.", arn);
    return NULL;
}

static struct certificate *
find_given(const struct request *rq, struct err *err)
{
    return acm_find(rq, json_get_cstr(rq->input, "CertificateArn", ""), err);
}

/* ---- describing ---- */

const char *
acm_status(const struct request *rq, const struct certificate *c)
{
    return rq->now_ms < json_get_i64(c->facts, "NotAfter", 0) ? "ISSUED" : "EXPIRED";
}

void
acm_set_common(const struct request *rq, const struct certificate *c, struct json *out)
{
    static const char *const copied[] = {"DomainName", "KeyAlgorithm"};

    json_set(out, "CertificateArn", json_text(c->arn));
    for (size_t i = 0; i < ARRAY_COUNT(copied); i++)
        if (json_get(c->facts, copied[i]) != NULL)
            json_set(out, copied[i], json_ref(json_get(c->facts, copied[i])));
    json_set(out, "Status", json_text(acm_status(rq, c)));
    json_set(out, "Type", json_text("IMPORTED"));
    json_set(out, "NotBefore", aws_time(rq, json_get_i64(c->facts, "NotBefore", 0)));
    json_set(out, "NotAfter", aws_time(rq, json_get_i64(c->facts, "NotAfter", 0)));
    json_set(out, "CreatedAt", aws_time(rq, c->created_at_ms));
    json_set(out, "ImportedAt", aws_time(rq, c->imported_at_ms));
    json_set(out, "RenewalEligibility", json_text("INELIGIBLE"));
}

/* Each load balancer once, in the order of their listeners. */
static struct json *
users_json(const struct core *core, const struct certificate *c)
{
    struct json *list = json_array();

    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        if (listener_has_certificate(l, c->arn) && !json_has_text(list, l->load_balancer_arn))
            json_append(list, json_text(l->load_balancer_arn));
    return list;
}

static bool
describe(struct request *rq, struct json *out, struct err *err)
{
    static const char *const copied[] = {"SubjectAlternativeNames", "Serial",    "Subject",          "Issuer",
                                         "SignatureAlgorithm",      "KeyUsages", "ExtendedKeyUsages"};
    const struct certificate *c = find_given(rq, err);
    struct json *detail, *options;

    if (c == NULL)
        return false;
    detail = json_object();
    options = json_object();
    acm_set_common(rq, c, detail);
    for (size_t i = 0; i < ARRAY_COUNT(copied); i++)
        json_set(detail, copied[i], json_ref(json_get(c->facts, copied[i])));
    json_set(detail, "InUseBy", users_json(rq->core, c));
    json_set(options, "CertificateTransparencyLoggingPreference", json_text("DISABLED"));
    json_set(detail, "Options", options);
    json_set(out, "Certificate", detail);
    return true;
}

static bool
get(struct request *rq, struct json *out, struct err *err)
{
    const struct certificate *c = find_given(rq, err);

    if (c == NULL)
        return false;
    json_set(out, "Certificate", json_ref(c->body));
    if (c->chain != NULL)
        json_set(out, "CertificateChain", json_ref(c->chain));
    return true;
}

/* ---- tags ---- */

static bool
check_tag_key(const char *key, struct err *err)
{
    return strncmp(key, "aws:", 4) != 0 ||
           err_set(err, ERR_INVALID_TAG, "Tag keys that begin with 'aws:' are reserved: '%s'.", key);
}

/* `old` with the tags of `added` put over it; NULL and err: too many, or reserved. */
static struct json *
tags_added(const struct json *old, const struct json *added, struct err *err)
{
    cleanup_json struct json *tags = old == NULL ? json_array() : json_copy(old);

    for (size_t i = 0; i < json_size(added); i++) {
        const char *key = json_get_cstr(json_at(added, i), "Key", "");
        struct json *had = json_find(tags, "Key", key);

        if (!check_tag_key(key, err))
            return NULL;
        if (had == NULL) {
            had = json_object();
            json_set(had, "Key", json_text(key));
            json_append(tags, had);
        }
        json_delete(had, "Value");
        if (json_get(json_at(added, i), "Value") != NULL)
            json_set(had, "Value", json_ref(json_get(json_at(added, i), "Value")));
    }
    if (json_size(tags) > TAGS_MAX) {
        err_set(err, ERR_TOO_MANY_TAGS, "A certificate can have at most %d tags.", TAGS_MAX);
        return NULL;
    }
    return TAKE(tags);
}

/* A key without a value removes the tag whatever its value. */
static bool
is_removed(const struct json *tag, const struct json *removed)
{
    for (size_t i = 0; i < json_size(removed); i++) {
        const char *value = json_get_cstr(json_at(removed, i), "Value", NULL);

        if (strcmp(json_get_cstr(json_at(removed, i), "Key", ""), json_get_cstr(tag, "Key", "")) == 0 &&
            (value == NULL || strcmp(value, json_get_cstr(tag, "Value", "")) == 0))
            return true;
    }
    return false;
}

static bool
add_tags(struct request *rq, struct json *out, struct err *err)
{
    const struct certificate *c = find_given(rq, err);
    cleanup_json struct json *tags = c == NULL ? NULL : tags_added(c->tags, json_get(rq->input, "Tags"), err);
    struct event event = {.type = EVENT_TAGS_SET};

    if (tags == NULL)
        return false;
    event.tags_set = (struct ev_tags_set){.arn = c->arn, .tags = tags};
    request_step(rq, &event);
    return true;
}

static bool
remove_tags(struct request *rq, struct json *out, struct err *err)
{
    const struct json *removed = json_get(rq->input, "Tags");
    const struct certificate *c = find_given(rq, err);
    cleanup_json struct json *tags = json_array();
    struct event event = {.type = EVENT_TAGS_SET};

    for (size_t i = 0; i < json_size(removed) && c != NULL; i++)
        if (!check_tag_key(json_get_cstr(json_at(removed, i), "Key", ""), err))
            return false;
    if (c == NULL)
        return false;
    for (size_t i = 0; i < json_size(c->tags); i++)
        if (!is_removed(json_at(c->tags, i), removed))
            json_append(tags, json_ref(json_at(c->tags, i)));
    event.tags_set = (struct ev_tags_set){.arn = c->arn, .tags = tags};
    request_step(rq, &event);
    return true;
}

static bool
list_tags(struct request *rq, struct json *out, struct err *err)
{
    const struct certificate *c = find_given(rq, err);

    if (c == NULL)
        return false;
    json_set(out, "Tags", c->tags != NULL ? json_ref(c->tags) : json_array());
    return true;
}

/* ---- importing ---- */

static bool
lacks_one(const struct json *had, const struct json *has)
{
    for (size_t i = 0; i < json_size(had); i++) {
        const char *name = json_get_cstr(json_at(had, i), "Name", "");

        if (strcmp(name, "NONE") != 0 && strcmp(name, "ANY") != 0 && json_find(has, "Name", name) == NULL)
            return true;
    }
    return false;
}

/* What may not change when a certificate takes another one's place. */
static bool
check_reimport(const struct certificate *old, const struct json *facts, struct err *err)
{
    const char *algorithm = json_get_cstr(old->facts, "KeyAlgorithm", "");

    if (strcmp(algorithm, json_get_cstr(facts, "KeyAlgorithm", "")) != 0)
        return err_set(err, ERR_VALIDATION, "The key algorithm of a certificate cannot change: it is %s, not %s.",
                       algorithm, json_get_cstr(facts, "KeyAlgorithm", ""));
    if (json_get(old->facts, "DomainName") != NULL && json_get(facts, "DomainName") == NULL)
        return err_set(err, ERR_VALIDATION, "A certificate that takes the place of one with domain names must have "
                                            "one.");
    if (lacks_one(json_get(old->facts, "KeyUsages"), json_get(facts, "KeyUsages")) ||
        lacks_one(json_get(old->facts, "ExtendedKeyUsages"), json_get(facts, "ExtendedKeyUsages")))
        return err_set(err, ERR_VALIDATION, "A certificate must have the key usages of the one whose place it takes.");
    return true;
}

/* What listeners serve they must be able to serve. */
static bool
check_use(const struct request *rq, const struct certificate *old, const struct x509_pem *pem, struct err *err)
{
    cleanup_free char *bundle = text_format("%s%s%s", strbuf_cstr(&pem->certificate), strbuf_cstr(&pem->chain),
                                            strbuf_cstr(&pem->private_key));
    char fingerprint[41];
    struct err why = {0};

    if (!core_certificate_in_use(rq->core, old->arn) || x509_is_servable(str_of(bundle), fingerprint, &why))
        return true;
    return err_set(err, ERR_VALIDATION, "Certificate %s is in use, and listeners could not serve this one: %.150s.",
                   old->arn, why.message);
}

/* A blob of the input; the shape was checked, so it decodes. */
static void
take_blob(const struct request *rq, const char *name, struct strbuf *out)
{
    (void)base64_decode(out, str_of(json_get_cstr(rq->input, name, "")));
}

static struct json *
read_input(const struct request *rq, struct x509_pem *pem, struct err *err)
{
    cleanup(strbuf_done) struct strbuf body = {0}, key = {0}, chain = {0};

    take_blob(rq, "Certificate", &body);
    take_blob(rq, "PrivateKey", &key);
    take_blob(rq, "CertificateChain", &chain);
    const struct x509_import in = {strbuf_str(&body), strbuf_str(&key), strbuf_str(&chain)};
    return x509_read(&in, rq->now_ms, pem, err);
}

static bool
check_count(const struct request *rq, struct err *err)
{
    int count = 0;

    for (const struct certificate *c = rq->core->certificates; c != NULL; c = c->next)
        count += request_is_region_of(rq, c->arn);
    return count < CERTIFICATES_MAX ||
           err_set(err, ERR_LIMIT_EXCEEDED, "The limit of %d imported certificates is reached.", CERTIFICATES_MAX);
}

/* The tags it will have, or NULL and err. */
static struct json *
accept_tags(const struct request *rq, const struct certificate *old, struct err *err)
{
    const struct json *given = json_get(rq->input, "Tags");

    if (old == NULL)
        return tags_added(NULL, given, err);
    if (given == NULL)
        return old->tags != NULL ? json_ref(old->tags) : json_array();
    err_set(err, ERR_INVALID_PARAMETER, "Tagging is not permitted on re-import.");
    return NULL;
}

static void
name_new(const struct request *rq, char arn[static ARN_SIZE])
{
    char id[37];

    random_uuid(id);
    arn_format(arn, "acm", rq->region, rq->account, "certificate/%s", id);
}

static bool
import(struct request *rq, struct json *out, struct err *err)
{
    const bool is_new = json_get(rq->input, "CertificateArn") == NULL;
    const struct certificate *old = is_new ? NULL : find_given(rq, err);
    cleanup_json struct json *facts = NULL, *tags = NULL;
    cleanup(x509_pem_done) struct x509_pem pem = {0};
    struct event event = {.type = EVENT_CERTIFICATE_PUT};
    struct certificate *c;

    if ((!is_new && old == NULL) || (is_new && !check_count(rq, err)))
        return false;
    tags = accept_tags(rq, old, err);
    facts = tags == NULL ? NULL : read_input(rq, &pem, err);
    if (facts == NULL || (old != NULL && (!check_reimport(old, facts, err) || !check_use(rq, old, &pem, err))))
        return false;
    c = mem_new(sizeof(*c));
    if (old == NULL)
        name_new(rq, c->arn);
    else
        memcpy(c->arn, old->arn, sizeof(c->arn));
    c->facts = TAKE(facts);
    c->tags = TAKE(tags);
    c->body = json_str(strbuf_str(&pem.certificate));
    c->private_key = json_str(strbuf_str(&pem.private_key));
    c->chain = pem.chain.len > 0 ? json_str(strbuf_str(&pem.chain)) : NULL;
    json_set(out, "CertificateArn", json_text(c->arn));
    event.certificate_put.certificate = c;
    request_step(rq, &event);
    return true;
}

static bool
delete(struct request *rq, struct json *out, struct err *err)
{
    const struct certificate *c = find_given(rq, err);
    struct event event = {.type = EVENT_CERTIFICATE_DELETE};

    if (c == NULL)
        return false;
    if (core_certificate_in_use(rq->core, c->arn))
        return err_set(err, ERR_RESOURCE_IN_USE, "Certificate %s in account %s is in use.", c->arn, rq->account);
    event.certificate_delete.arn = json_get_cstr(rq->input, "CertificateArn", "");
    request_step(rq, &event);
    return true;
}

const struct operation acm_operations[] = {
    {"ImportCertificate", ACCESS_WRITE, import},
    {"ListCertificates", ACCESS_READ, acm_list},
    {"DescribeCertificate", ACCESS_READ, describe},
    {"GetCertificate", ACCESS_READ, get},
    {"DeleteCertificate", ACCESS_WRITE, delete},
    {"AddTagsToCertificate", ACCESS_WRITE, add_tags},
    {"RemoveTagsFromCertificate", ACCESS_WRITE, remove_tags},
    {"ListTagsForCertificate", ACCESS_READ, list_tags},
    {0},
};
