/* SPDX-License-Identifier: MIT */
/* cloudwatch_list.c - ListMetrics: which have points. */
#include "api/cloudwatch.h"
#include "api/elbv2.h"
#include "model/arn.h"

#define RECENT_MINUTES 180 /* PT3H */

struct list_call {
    struct request *rq;
    const char *namespace, *name; /* NULL: any */
    const struct json *filters;
    bool is_recent;
    struct cw_page page;
    struct json *metrics;
};

static struct json *
dimension(const char *name, const char *arn)
{
    struct json *o = json_object();
    struct arn parts;
    struct str value = str_of(arn);

    if (arn_parse(str_of(arn), &parts))
        value = parts.resource;
    if (str_starts(value, STR("loadbalancer/")))
        value = str_slice(value, strlen("loadbalancer/"), value.len);
    json_set(o, "Name", json_text(name));
    json_set(o, "Value", json_str(value));
    return o;
}

/* Each filter wants a dimension of that name, with that value if it names one. */
static bool
fits(const struct list_call *c, const struct json *dimensions)
{
    for (size_t i = 0; i < json_size(c->filters); i++) {
        const struct json *f = json_at(c->filters, i);
        const char *value = json_get_cstr(f, "Value", NULL);
        bool has = false;

        for (size_t k = 0; k < json_size(dimensions) && !has; k++) {
            const struct json *d = json_at(dimensions, k);
            has = strcmp(json_get_cstr(d, "Name", ""), json_get_cstr(f, "Name", "")) == 0 &&
                  (value == NULL || strcmp(json_get_cstr(d, "Value", ""), value) == 0);
        }
        if (!has)
            return false;
    }
    return true;
}

static void
offer(struct list_call *c, const struct cw_metric *m, struct json *dimensions)
{
    struct json *o;

    if (!fits(c, dimensions) || !cw_page_takes(&c->page)) {
        json_unref(dimensions);
        return;
    }
    o = json_object();
    json_set(o, "Namespace", json_text(cw_namespace(m)));
    json_set(o, "MetricName", json_text(m->name));
    json_set(o, "Dimensions", dimensions);
    json_append(c->metrics, o);
}

static void
offer_metric(struct list_call *c, const struct cw_metric *m, const struct traffic_series *s)
{
    const bool is_group = s->kind == TRAFFIC_OF_GROUP;

    if (!is_group && (m->dimensions & CW_OF_BALANCER) != 0) {
        struct json *list = json_array();
        json_append(list, dimension("LoadBalancer", s->id));
        offer(c, m, list);
    }
    if (is_group && (m->dimensions & CW_OF_BOTH) != 0) {
        struct json *list = json_array();
        json_append(list, dimension("TargetGroup", s->id));
        json_append(list, dimension("LoadBalancer", s->owner));
        offer(c, m, list);
    }
    if (is_group && (m->dimensions & CW_OF_GROUP) != 0) {
        struct json *list = json_array();
        json_append(list, dimension("TargetGroup", s->id));
        offer(c, m, list);
    }
}

static void
collect_list(void *arg, const struct traffic_book *book, int64_t now_ms)
{
    struct list_call *c = arg;
    const int64_t since = c->is_recent ? now_ms / 60000 - RECENT_MINUTES : 0;

    for (size_t i = 0; i < traffic_book_count(book); i++) {
        const struct traffic_series *s = traffic_book_at(book, i);

        if ((s->kind != TRAFFIC_OF_LOAD_BALANCER && s->kind != TRAFFIC_OF_GROUP) ||
            !request_is_region_of(c->rq, s->id))
            continue;
        const bool is_network = elb_is_network(s->owner);
        for (size_t k = 0; k < cw_metric_count && !c->page.is_full; k++) {
            const struct cw_metric *m = &cw_metrics[k];
            if ((c->namespace == NULL || strcmp(c->namespace, cw_namespace(m)) == 0) &&
                (c->name == NULL || strcmp(c->name, m->name) == 0) && m->is_network == is_network &&
                cw_has_points(m, s, since))
                offer_metric(c, m, s);
        }
    }
}

bool
cw_list_metrics(struct request *rq, struct json *out, struct err *err)
{
    struct list_call c = {.rq = rq,
                          .namespace = json_get_cstr(rq->input, "Namespace", NULL),
                          .name = json_get_cstr(rq->input, "MetricName", NULL),
                          .filters = json_get(rq->input, "Dimensions"),
                          .is_recent = json_get(rq->input, "RecentlyActive") != NULL};

    if (json_truth(json_get(rq->input, "IncludeLinkedAccounts"), false))
        return err_set(err, ERR_UNSUPPORTED_FEATURE, "IncludeLinkedAccounts is not built in naru: there is one account.");
    if (strcmp(json_get_cstr(rq->input, "OwningAccount", rq->account), rq->account) != 0)
        return err_set(err, ERR_CW_INVALID_VALUE, "OwningAccount is not this account.");
    if (!cw_page_begin(rq, CW_LIST_PAGE, ERR_CW_INVALID_VALUE, &c.page, err))
        return false;
    c.metrics = json_array();
    json_set(out, "Metrics", c.metrics);
    if (!cw_read(rq, collect_list, &c, err))
        return false;
    cw_page_end(&c.page, out);
    return true;
}
