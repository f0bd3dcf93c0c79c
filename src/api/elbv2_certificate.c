/* SPDX-License-Identifier: MIT */
/* elbv2_certificate.c - what makes a listener one of HTTPS: its certificates and its security policy. */
#include "api/elbv2.h"
#include "base/x509.h"

/* ---- checks ---- */

static bool
is_servable(const struct certificate *c)
{
    char fingerprint[41];
    struct err ignored = {0};
    cleanup_free char *bundle = text_format("%s%s%s", json_cstr(c->body, ""), json_cstr(c->chain, ""),
                                            json_cstr(c->private_key, ""));

    return x509_is_servable(str_of(bundle), fingerprint, &ignored);
}

static bool
check_certificate(const struct request *rq, const struct json *given, struct err *err)
{
    const char *arn = json_get_cstr(given, "CertificateArn", "");
    const struct certificate *c = request_is_region_of(rq, arn) ? core_certificate(rq->core, arn) : NULL;

    if (json_get(given, "IsDefault") != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "You cannot set the isDefault parameter for a certificate");
    if (c == NULL)
        return err_set(err, ERR_CERTIFICATE_NOT_FOUND, "Certificate '%s' not found", arn);
    return (json_get(c->facts, "DomainName") != NULL && is_servable(c)) ||
           err_set(err, ERR_UNSUPPORTED_CERTIFICATE,
                   "The certificate '%s' must have a fully-qualified domain name, a supported signature, and a "
                   "supported key size.", arn);
}

static bool
check_policy(const char *name, struct err *err)
{
    const char *obstacle = ssl_policy_obstacle(name);

    if (obstacle != NULL)
        return err_set(err, ERR_INVALID_CONFIGURATION, "The SSL policy '%s' cannot be had in naru: %s", name, obstacle);
    return ssl_policy_find(name) != NULL || err_set(err, ERR_SSL_POLICY_NOT_FOUND, "SSL policy '%s' not found", name);
}

/* Only the default one comes with a listener; the others by AddListenerCertificates. */
static bool
check_default(const struct request *rq, const struct json *given, struct err *err)
{
    if (json_size(given) != 1)
        return err_set(err, ERR_ELB_VALIDATION, "You must specify exactly one default certificate");
    return check_certificate(rq, json_at(given, 0), err);
}

static bool
check_plain(const struct json *in, struct err *err)
{
    if (json_size(json_get(in, "Certificates")) > 0)
        return err_set(err, ERR_ELB_VALIDATION, "Certificates can only be specified for HTTPS listeners");
    if (json_get(in, "SslPolicy") != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "An SSL policy can only be specified for HTTPS listeners");
    return true;
}

/* The new default, and the others that there were. */
static struct json *
with_default(const struct json *old, const char *arn)
{
    struct json *list = json_array();

    json_append(list, json_text(arn));
    for (size_t i = 1; i < json_size(old); i++)
        json_append(list, json_ref(json_at(old, i)));
    return list;
}

bool
elb_accept_tls(const struct request *rq, struct listener *l, struct err *err)
{
    const struct json *given = json_get(rq->input, "Certificates");
    const char *policy = json_get_cstr(rq->input, "SslPolicy", NULL);
    struct json *list;

    if (!elb_accept_mutual(rq, l, err))
        return false;
    if (strcmp(l->protocol, "HTTPS") != 0) {
        if (!check_plain(rq->input, err))
            return false;
        json_unref(TAKE(l->certificates));
        l->ssl_policy[0] = '\0';
        return true;
    }
    if (json_size(given) == 0 && json_size(l->certificates) == 0)
        return err_set(err, ERR_ELB_VALIDATION, "A certificate must be specified for HTTPS listeners");
    if ((given != NULL && !check_default(rq, given, err)) || (policy != NULL && !check_policy(policy, err)))
        return false;
    if (policy != NULL || l->ssl_policy[0] == '\0')
        text_copy(l->ssl_policy, sizeof(l->ssl_policy), str_of(policy != NULL ? policy : SSL_POLICY_DEFAULT));
    if (given != NULL) {
        list = with_default(l->certificates, json_get_cstr(json_at(given, 0), "CertificateArn", ""));
        json_unref(l->certificates);
        l->certificates = list;
    }
    return true;
}

/* ---- describing ---- */

static struct json *
certificate_json(const char *arn)
{
    struct json *o = json_object();

    json_set(o, "CertificateArn", json_text(arn));
    return o;
}

void
elb_set_tls(const struct listener *l, struct json *out)
{
    struct json *list;

    if (json_size(l->certificates) == 0)
        return;
    list = json_array();
    json_append(list, certificate_json(json_cstr(json_at(l->certificates, 0), "")));
    json_set(out, "Certificates", list);
    json_set(out, "SslPolicy", json_text(l->ssl_policy));
    json_set(out, "MutualAuthentication", elb_mutual_json(l));
}

/* ---- the other certificates ---- */

static bool
has_other(const struct json *certificates, const char *arn)
{
    for (size_t i = 1; i < json_size(certificates); i++)
        if (strcmp(json_cstr(json_at(certificates, i), ""), arn) == 0)
            return true;
    return false;
}

/* Are there too many with these, the listener's, beside the default ones of the load balancer (alb.md A2)? */
static bool
check_count(const struct core *core, const struct listener *l, const struct json *certificates, struct err *err)
{
    size_t count = json_size(certificates) - 1;

    for (const struct listener *o = core->listeners; o != NULL; o = o->next)
        if (o != l && strcmp(o->load_balancer_arn, l->load_balancer_arn) == 0 && json_size(o->certificates) > 0)
            count += json_size(o->certificates) - 1;
    return count <= CERTIFICATES_PER_LOAD_BALANCER ||
           err_set(err, ERR_TOO_MANY_CERTIFICATES, "The limit of %d certificates a load balancer is reached",
                   CERTIFICATES_PER_LOAD_BALANCER);
}

/* The listener of the request, which must be one of HTTPS; NULL and err. */
static const struct listener *
find_tls(const struct request *rq, struct err *err)
{
    const struct listener *l = elb_find_listener(rq, json_get_cstr(rq->input, "ListenerArn", ""), err);

    if (l != NULL && json_size(l->certificates) == 0) {
        err_set(err, ERR_INVALID_CONFIGURATION, "Certificates can only be specified for HTTPS listeners");
        return NULL;
    }
    return l;
}

static bool
put_certificates(struct request *rq, const struct listener *l, const struct json *certificates, struct err *err)
{
    cleanup_json struct json *row = listener_encode(l);
    struct event event = {.type = EVENT_LISTENER_PUT};
    struct listener *copy = listener_decode(row, err);

    if (copy == NULL)
        return false;
    json_unref(copy->certificates);
    copy->certificates = json_ref(certificates);
    event.listener_put.listener = copy;
    request_step(rq, &event);
    return true;
}

bool
elb_add_listener_certificates(struct request *rq, struct json *out, struct err *err)
{
    const struct json *given = json_get(rq->input, "Certificates");
    const struct listener *l = find_tls(rq, err);
    cleanup_json struct json *all = l == NULL ? NULL : json_copy(l->certificates);
    struct json *added = json_array();

    json_set(out, "Certificates", added);
    for (size_t i = 0; i < json_size(given) && all != NULL; i++) {
        const char *arn = json_get_cstr(json_at(given, i), "CertificateArn", "");
        struct json *o = certificate_json(arn);

        json_set(o, "IsDefault", json_bool(false));
        json_append(added, o);
        if (!check_certificate(rq, json_at(given, i), err))
            return false;
        if (!has_other(all, arn))
            json_append(all, json_text(arn));
    }
    return all != NULL && check_count(rq->core, l, all, err) && put_certificates(rq, l, all, err);
}

bool
elb_remove_listener_certificates(struct request *rq, struct json *out, struct err *err)
{
    const struct json *given = json_get(rq->input, "Certificates");
    const struct listener *l = find_tls(rq, err);
    cleanup_json struct json *left = json_array();

    if (l == NULL)
        return false;
    for (size_t i = 0; i < json_size(given); i++) {
        const char *arn = json_get_cstr(json_at(given, i), "CertificateArn", "");

        if (strcmp(json_cstr(json_at(l->certificates, 0), ""), arn) == 0 && !has_other(l->certificates, arn))
            return err_set(err, ERR_OPERATION_NOT_PERMITTED, "The default certificate of a listener cannot be removed");
    }
    for (size_t i = 0; i < json_size(l->certificates); i++) {
        const char *arn = json_cstr(json_at(l->certificates, i), "");

        if (i == 0 || json_find(given, "CertificateArn", arn) == NULL)
            json_append(left, json_text(arn));
    }
    return put_certificates(rq, l, left, err);
}

bool
elb_describe_listener_certificates(struct request *rq, struct json *out, struct err *err)
{
    const struct listener *l = elb_find_listener(rq, json_get_cstr(rq->input, "ListenerArn", ""), err);
    struct json *all;
    struct page page;

    if (l == NULL || !page_read(rq, "arn:", &page, err))
        return false;
    all = json_array();
    for (size_t i = 0; i < json_size(l->certificates); i++) {
        const char *arn = json_cstr(json_at(l->certificates, i), "");
        struct json *o = certificate_json(arn);
        cleanup_free char *key = text_format("%s%s", arn, i == 0 ? "" : "+"); /* the default one may be here twice */

        json_set(o, "IsDefault", json_bool(i == 0));
        json_set(o, "Key", json_text(key));
        json_append(all, o);
    }
    page_write(&page, sorted_by(all, "Key"), "Key", "Certificates", out);
    all = (struct json *)json_get(out, "Certificates");
    for (size_t i = 0; i < json_size(all); i++)
        json_delete(json_at(all, i), "Key");
    return true;
}

/* ---- DescribeSSLPolicies ---- */

static void
add_ciphers(struct json *list, const char *names)
{
    struct str rest = str_of(names), name;

    while (rest.len > 0 && str_split(&rest, ':', &name)) {
        struct json *o = json_object();

        json_set(o, "Name", json_str(name));
        json_set(o, "Priority", json_int((int64_t)json_size(list) + 1));
        json_append(list, o);
    }
}

static struct json *
policy_json(const struct ssl_policy *p)
{
    static const char *const versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    struct json *o = json_object(), *protocols = json_array(), *ciphers = json_array(), *types = json_array();

    for (int v = p->min; v <= p->max; v++)
        json_append(protocols, json_text(versions[v - 10]));
    add_ciphers(ciphers, p->cipher_suites);
    add_ciphers(ciphers, p->ciphers);
    json_append(types, json_text("application"));
    json_set(o, "Name", json_text(p->name));
    json_set(o, "SslProtocols", protocols);
    json_set(o, "Ciphers", ciphers);
    json_set(o, "SupportedLoadBalancerTypes", types);
    return o;
}

bool
elb_describe_ssl_policies(struct request *rq, struct json *out, struct err *err)
{
    const struct json *names = json_get(rq->input, "Names");
    const char *type = json_get_cstr(rq->input, "LoadBalancerType", "application");
    struct page page;
    struct json *all;

    if (!page_read(rq, "ELBSecurityPolicy-", &page, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++)
        if (ssl_policy_find(json_cstr(json_at(names, i), "")) == NULL)
            return err_set(err, ERR_SSL_POLICY_NOT_FOUND, "SSL policy '%s' not found", json_cstr(json_at(names, i), ""));
    all = json_array();
    for (const struct ssl_policy *p = ssl_policies; p->name != NULL; p++)
        if (json_size(names) == 0 ? strcmp(type, "application") == 0 : json_has_text(names, p->name))
            json_append(all, policy_json(p));
    page_write(&page, sorted_by(all, "Name"), "Name", "SslPolicies", out);
    return true;
}
