/* SPDX-License-Identifier: MIT */
#include "api/elbv2.h"

#include <stdio.h>
#include "base/random.h"

struct json *
listener_json(const struct listener *l)
{
    struct json *o = json_object();

    json_set(o, "ListenerArn", json_text(l->arn));
    json_set(o, "LoadBalancerArn", json_text(l->load_balancer_arn));
    json_set(o, "Port", json_int(l->port));
    json_set(o, "Protocol", json_text(l->protocol));
    elb_set_tls(l, o);
    json_set(o, "DefaultActions", json_ref(l->actions));
    return o;
}

/* ---- CreateListener ---- */

static bool
check_port(const struct request *rq, const char *lb_arn, const struct listener *self, int64_t port, struct err *err)
{
    if (port == 0)
        return err_set(err, ERR_ELB_VALIDATION, "A listener port must be specified");
    if (port < 1 || port > 65535)
        return err_set(err, ERR_ELB_VALIDATION, "Port '%lld' must be in the range from 1 to 65535", (long long)port);
    if (port == (int64_t)api_get_config(rq->api)->port)
        return err_set(err, ERR_INVALID_CONFIGURATION, "Port %lld is naru's own", (long long)port);
    for (const struct listener *l = rq->core->listeners; l != NULL; l = l->next) {
        if (l == self || l->port != port)
            continue;
        if (strcmp(l->load_balancer_arn, lb_arn) == 0)
            return err_set(err, ERR_DUPLICATE_LISTENER, "A listener already exists on this port for this load balancer '%s'", lb_arn);
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "Port %lld of this machine is taken by the listener '%s'; load balancers share the machine's ports",
                       (long long)port, l->arn);
    }
    return true;
}

static bool
check_protocol(const struct json *in, const char *lb_arn, const char *before, struct err *err)
{
    const char *protocol = json_get_cstr(in, "Protocol", before);

    if (protocol == NULL)
        return err_set(err, ERR_ELB_VALIDATION, "A listener protocol must be specified");
    if (elb_is_network(lb_arn))
        return elb_network_check_listener(in, protocol, err);
    if (strcmp(protocol, "HTTP") != 0 && strcmp(protocol, "HTTPS") != 0)
        return err_set(err, ERR_ELB_VALIDATION, "Listener protocol '%s' must be one of 'HTTPS, HTTP'", protocol);
    if (json_size(json_get(in, "AlpnPolicy")) > 0)
        return err_set(err, ERR_ELB_VALIDATION, "An ALPN policy can only be specified for TLS listeners");
    return true;
}

/* The same default certificate, or none; the others do not come with a listener. */
static bool
has_same_default(const struct listener *one, const struct listener *other)
{
    return json_size(one->certificates) > 0 && json_size(other->certificates) > 0
               ? json_equal(json_at(one->certificates, 0), json_at(other->certificates, 0))
               : json_size(one->certificates) == json_size(other->certificates);
}

static bool
has_same_mutual(const struct listener *one, const struct listener *other)
{
    return one->mutual == NULL || other->mutual == NULL ? one->mutual == other->mutual
                                                        : json_equal(one->mutual, other->mutual);
}

static const struct listener *
find_repeat(const struct request *rq, const struct listener *made)
{
    for (const struct listener *l = rq->core->listeners; l != NULL; l = l->next)
        if (l->port == made->port && strcmp(l->load_balancer_arn, made->load_balancer_arn) == 0 &&
            json_equal(l->actions, made->actions) && strcmp(l->ssl_policy, made->ssl_policy) == 0 &&
            has_same_default(l, made) && has_same_mutual(l, made))
            return l;
    return NULL;
}

static struct listener *
make(const struct request *rq, const struct load_balancer *lb, struct json *actions)
{
    struct listener *l = mem_new(sizeof(*l));
    const struct str lb_id = arn_last(str_of(lb->arn));
    char id[17];

    random_hex(id, 16);
    arn_format(l->arn, "elasticloadbalancing", rq->region, rq->account, "listener/%s/%s/" STR_FMT "/%s",
               elb_is_network(lb->arn) ? "net" : "app", lb->name, STR_ARG(lb_id), id);
    text_copy(l->load_balancer_arn, sizeof(l->load_balancer_arn), str_of(lb->arn));
    l->port = (int)json_get_i64(rq->input, "Port", 0);
    text_copy(l->protocol, sizeof(l->protocol), str_of(json_get_cstr(rq->input, "Protocol", "HTTP")));
    l->actions = actions;
    l->tags = json_get(rq->input, "Tags") != NULL ? json_copy(json_get(rq->input, "Tags")) : json_array();
    return l;
}

static inline void
free_listener_(struct listener **l)
{
    listener_free(*l);
}

bool
elb_create_listener(struct request *rq, struct json *out, struct err *err)
{
    const char *lb_arn = json_get_cstr(rq->input, "LoadBalancerArn", "");
    const struct load_balancer *lb = elb_find_load_balancer(rq, lb_arn, err);
    const int64_t port = json_get_i64(rq->input, "Port", 0);
    struct event event = {.type = EVENT_LISTENER_PUT};
    cleanup(free_listener_) struct listener *made = NULL;
    cleanup_json struct json *actions = NULL;
    const struct listener *old;
    char arn[ARN_SIZE];
    int count = 0;

    if (lb == NULL || !check_protocol(rq->input, lb_arn, NULL, err) || !elb_tags_check(json_get(rq->input, "Tags"), err))
        return false;
    actions = elb_accept_actions(rq, lb_arn, json_get(rq->input, "DefaultActions"), err);
    if (actions == NULL)
        return false;
    made = make(rq, lb, json_ref(actions));
    if (!elb_accept_tls(rq, made, err))
        return false;
    old = find_repeat(rq, made);
    if (old != NULL) {
        elb_answer_one(out, "Listeners", listener_json(old));
        return true;
    }
    if (!check_port(rq, lb_arn, NULL, port, err) || !elb_check_groups(rq, lb_arn, actions, NULL, NULL, err))
        return false;
    for (const struct listener *l = rq->core->listeners; l != NULL; l = l->next)
        count += strcmp(l->load_balancer_arn, lb_arn) == 0;
    if (count >= LISTENERS_PER_LOAD_BALANCER)
        return err_set(err, ERR_TOO_MANY_LISTENERS, "The limit of %d listeners a load balancer is reached",
                       LISTENERS_PER_LOAD_BALANCER);
    memcpy(arn, made->arn, sizeof(arn));
    event.listener_put.listener = TAKE(made);
    request_step(rq, &event);
    elb_answer_one(out, "Listeners", listener_json(core_listener(rq->core, arn)));
    return true;
}

bool
elb_describe_listeners(struct request *rq, struct json *out, struct err *err)
{
    const char *lb_arn = json_get_cstr(rq->input, "LoadBalancerArn", NULL);
    const struct json *arns = json_get(rq->input, "ListenerArns");
    cleanup_json struct json *all = json_array();
    struct page page;

    if (!page_read(rq, "arn:", &page, err))
        return false;
    if ((lb_arn != NULL) == (json_size(arns) > 0))
        return err_set(err, ERR_ELB_VALIDATION, "You must specify either listener ARNs or a load balancer ARN");
    if (lb_arn != NULL && elb_find_load_balancer(rq, lb_arn, err) == NULL)
        return false;
    for (const struct listener *l = rq->core->listeners; lb_arn != NULL && l != NULL; l = l->next)
        if (strcmp(l->load_balancer_arn, lb_arn) == 0)
            json_append(all, listener_json(l));
    for (size_t i = 0; i < json_size(arns); i++) {
        const struct listener *l = elb_find_listener(rq, json_cstr(json_at(arns, i), ""), err);

        if (l == NULL)
            return false;
        json_append(all, listener_json(l));
    }
    page_write(&page, sorted_by(TAKE(all), "ListenerArn"), "ListenerArn", "Listeners", out);
    return true;
}

/* While a deployment moves its traffic, the weights are the deployment's. */
bool
listener_check_owner(const struct request *rq, const char *arn, struct err *err)
{
    const struct service *s = core_listener_owner(rq->core, arn);

    return s == NULL || err_set(err, ERR_ELB_RESOURCE_IN_USE,
                                "Listener '%s' is in use by a deployment of the service '%s', which moves its "
                                "traffic", arn, s->name);
}

bool
elb_modify_listener(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "ListenerArn", "");
    const struct listener *l = elb_find_listener(rq, arn, err);
    const struct json *given = json_get(rq->input, "DefaultActions");
    struct event event = {.type = EVENT_LISTENER_PUT};
    cleanup_json struct json *actions = NULL, *row = NULL;
    cleanup(free_listener_) struct listener *copy = NULL;
    int64_t port;

    if (l == NULL || !check_protocol(rq->input, l->load_balancer_arn, l->protocol, err) ||
        (given != NULL && !listener_check_owner(rq, arn, err)))
        return false;
    port = json_get_i64(rq->input, "Port", l->port);
    if (port != l->port && !check_port(rq, l->load_balancer_arn, l, port, err))
        return false;
    actions = given != NULL ? elb_accept_actions(rq, l->load_balancer_arn, given, err) : json_ref(l->actions);
    if (actions == NULL || !elb_check_groups(rq, l->load_balancer_arn, actions, l, NULL, err))
        return false;
    row = listener_encode(l);
    copy = listener_decode(row, err);
    if (copy == NULL)
        return false;
    copy->port = (int)port;
    text_copy(copy->protocol, sizeof(copy->protocol), str_of(json_get_cstr(rq->input, "Protocol", l->protocol)));
    json_unref(copy->actions);
    copy->actions = TAKE(actions);
    if (!elb_accept_tls(rq, copy, err))
        return false;
    event.listener_put.listener = TAKE(copy);
    request_step(rq, &event);
    elb_answer_one(out, "Listeners", listener_json(core_listener(rq->core, arn)));
    return true;
}

bool
elb_delete_listener(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "ListenerArn", "");
    const struct event event = {.type = EVENT_LISTENER_DELETE, .listener_delete = {.arn = arn}};

    if (elb_find_listener(rq, arn, err) == NULL || !listener_check_owner(rq, arn, err))
        return false;
    request_step(rq, &event);
    return true;
}
