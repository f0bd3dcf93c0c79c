/* SPDX-License-Identifier: MIT */
#include "api/elbv2.h"

#include <stdio.h>
#include "base/random.h"

/* alb.md A5. */
static const struct attribute_row attribute_rows[] = {
    {"idle_timeout.timeout_seconds", "60", "int:1:4000"},
    {"deletion_protection.enabled", "false", "bool"},
    {"client_keep_alive.seconds", "3600", "int:60:604800"},
    {"routing.http2.enabled", "true", "bool"},
    {"routing.http.drop_invalid_header_fields.enabled", "false", "bool"},
    {"routing.http.preserve_host_header.enabled", "false", "bool"},
    {"routing.http.xff_header_processing.mode", "append", "one:append,preserve,remove"},
    {"routing.http.xff_client_port.enabled", "false", "bool"},
    {"routing.http.desync_mitigation_mode", "defensive", "one:monitor,defensive,strictest"},
    {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", "bool"},
    {"access_logs.s3.enabled", "false", "bool"},
    {"access_logs.s3.bucket", "", "text"},
    {"access_logs.s3.prefix", "", "text"},
    {"connection_logs.s3.enabled", "false", "fixed"},
    {"connection_logs.s3.bucket", "", "fixed"},
    {"connection_logs.s3.prefix", "", "fixed"},
    {"health_check_logs.s3.enabled", "false", "fixed"},
    {"health_check_logs.s3.bucket", "", "fixed"},
    {"health_check_logs.s3.prefix", "", "fixed"},
    {"ipv6.deny_all_igw_traffic", "false", "fixed"},
    {"load_balancing.cross_zone.enabled", "true", "fixed"},
    {"waf.fail_open.enabled", "false", "fixed"},
    {"zonal_shift.config.enabled", "false", "fixed"},
};

static const struct attribute_row *
rows_of(const char *arn, size_t *count_out)
{
    *count_out = elb_is_network(arn) ? elb_network_row_count : ARRAY_COUNT(attribute_rows);
    return elb_is_network(arn) ? elb_network_rows : attribute_rows;
}

struct json *
load_balancer_json(const struct request *rq, const struct load_balancer *lb)
{
    struct json *o = json_object(), *state = json_object();
    const struct json *groups = json_get(lb->doc, "SecurityGroups");

    json_set(o, "LoadBalancerArn", json_text(lb->arn));
    json_set(o, "DNSName", json_text(lb->dns_name));
    json_set(o, "CanonicalHostedZoneId", json_text("Z0000000000000"));
    json_set(o, "CreatedTime", aws_time(rq, lb->created_at_ms));
    json_set(o, "LoadBalancerName", json_text(lb->name));
    json_set(o, "Scheme", json_text(lb->is_internal ? "internal" : "internet-facing"));
    json_set(o, "VpcId", json_text(elb_vpc_of(rq, lb)));
    json_set(state, "Code", json_text("active"));
    json_set(o, "State", state);
    json_set(o, "Type", json_text(elb_is_network(lb->arn) ? "network" : "application"));
    json_set(o, "AvailabilityZones", elb_zones_json(rq, lb));
    json_set(o, "SecurityGroups", groups != NULL ? json_ref(groups) : json_array());
    json_set(o, "IpAddressType", json_text(json_get_cstr(lb->doc, "IpAddressType", "ipv4")));
    return o;
}

/* The members that are kept and echoed, or NULL and err; two requests with equal ones ask for the same. */
static struct json *
accept_members(const struct request *rq, struct err *err)
{
    const struct json *input = rq->input;
    const bool is_network = strcmp(json_get_cstr(input, "Type", ""), "network") == 0;
    cleanup_json struct json *subnets = elb_accept_subnets(rq, is_network, err), *groups = NULL;
    struct json *doc;

    groups = subnets != NULL ? elb_accept_security_groups(rq, subnets, err) : NULL;
    if (groups == NULL)
        return NULL;
    doc = json_object();
    json_set(doc, "Subnets", TAKE(subnets));
    json_set(doc, "SecurityGroups", TAKE(groups));
    json_set(doc, "IpAddressType", json_text(json_get_cstr(input, "IpAddressType", "ipv4")));
    return doc;
}

static bool
check_create(const struct json *in, struct err *err)
{
    static const char *const refused[] = {"CustomerOwnedIpv4Pool", "IpamPools"};
    const char *name = json_get_cstr(in, "Name", ""), *type = json_get_cstr(in, "Type", "application");

    if (!elb_name_check("Load balancer", name, false, err))
        return false;
    if (strncmp(name, "internal-", 9) == 0)
        return err_set(err, ERR_ELB_VALIDATION, "Load balancer name '%s' cannot begin with 'internal-'", name);
    if (strcmp(type, "application") != 0 && strcmp(type, "network") != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "Load balancers of type '%s' are not built in naru; the type must be 'application' or 'network'", type);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        if (json_get(in, refused[i]) != NULL)
            return err_set(err, ERR_INVALID_CONFIGURATION, "%s is not built in naru: there are no address pools",
                           refused[i]);
    return elb_check_address_type(in, err) && elb_tags_check(json_get(in, "Tags"), err);
}

static struct load_balancer *
find_by_name(const struct request *rq, const char *name)
{
    for (struct load_balancer *lb = rq->core->load_balancers; lb != NULL; lb = lb->next)
        if (strcmp(lb->name, name) == 0 && strcmp(lb->region, rq->region) == 0)
            return lb;
    return NULL;
}

static struct load_balancer *
make(const struct request *rq, struct json *doc)
{
    struct load_balancer *lb = mem_new(sizeof(*lb));
    const bool is_network = strcmp(json_get_cstr(rq->input, "Type", ""), "network") == 0;
    const struct attribute_row *rows;
    size_t row_count;
    char id[17];

    random_hex(id, 16);
    text_copy(lb->name, sizeof(lb->name), str_of(json_get_cstr(rq->input, "Name", "")));
    text_copy(lb->region, sizeof(lb->region), str_of(rq->region));
    arn_format(lb->arn, "elasticloadbalancing", rq->region, rq->account, "loadbalancer/%s/%s/%s",
               is_network ? "net" : "app", lb->name, id);
    /* Listeners are ports of this machine, so its own name is the one that leads to them. */
    text_copy(lb->dns_name, sizeof(lb->dns_name), STR("localhost"));
    lb->is_internal = strcmp(json_get_cstr(rq->input, "Scheme", ""), "internal") == 0;
    lb->created_at_ms = rq->now_ms;
    lb->doc = doc;
    rows = rows_of(lb->arn, &row_count);
    lb->attributes = attributes_default(rows, row_count);
    lb->tags = json_get(rq->input, "Tags") != NULL ? json_copy(json_get(rq->input, "Tags")) : json_array();
    return lb;
}

bool
elb_create_load_balancer(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *doc = NULL;
    const char *name = json_get_cstr(rq->input, "Name", "");
    const struct load_balancer *old;
    struct event event = {.type = EVENT_LOAD_BALANCER_PUT};
    int count = 0;

    if (!check_create(rq->input, err))
        return false;
    doc = accept_members(rq, err);
    if (doc == NULL)
        return false;
    old = find_by_name(rq, name);
    if (old != NULL) {
        const bool is_internal = strcmp(json_get_cstr(rq->input, "Scheme", ""), "internal") == 0;

        const bool is_network = strcmp(json_get_cstr(rq->input, "Type", ""), "network") == 0;

        if (!json_equal(old->doc, doc) || old->is_internal != is_internal || elb_is_network(old->arn) != is_network)
            return err_set(err, ERR_DUPLICATE_LOAD_BALANCER,
                           "A load balancer with the same name '%s' exists, but with different settings", name);
        elb_answer_one(out, "LoadBalancers", load_balancer_json(rq, old));
        return true;
    }
    for (const struct load_balancer *lb = rq->core->load_balancers; lb != NULL; lb = lb->next)
        count += strcmp(lb->region, rq->region) == 0;
    if (count >= LOAD_BALANCERS_PER_REGION)
        return err_set(err, ERR_TOO_MANY_LOAD_BALANCERS, "The limit of %d load balancers a region is reached",
                       LOAD_BALANCERS_PER_REGION);
    event.load_balancer_put.load_balancer = make(rq, TAKE(doc));
    request_step(rq, &event);
    elb_answer_one(out, "LoadBalancers", load_balancer_json(rq, find_by_name(rq, name)));
    return true;
}

static bool
describe_named(const struct request *rq, const struct json *names, struct json *all, struct err *err)
{
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct load_balancer *lb = find_by_name(rq, name);

        if (lb == NULL)
            return err_set(err, ERR_LOAD_BALANCER_NOT_FOUND, "Load balancers '[%s]' not found", name);
        json_append(all, load_balancer_json(rq, lb));
    }
    return true;
}

static bool
describe_by_arn(const struct request *rq, const struct json *arns, struct json *all, struct err *err)
{
    if (json_size(arns) > 20)
        return err_set(err, ERR_ELB_VALIDATION, "At most 20 load balancers can be described by ARN in one call");
    for (size_t i = 0; i < json_size(arns); i++) {
        const struct load_balancer *lb = elb_find_load_balancer(rq, json_cstr(json_at(arns, i), ""), err);

        if (lb == NULL)
            return false;
        json_append(all, load_balancer_json(rq, lb));
    }
    return true;
}

bool
elb_describe_load_balancers(struct request *rq, struct json *out, struct err *err)
{
    const struct json *names = json_get(rq->input, "Names"), *arns = json_get(rq->input, "LoadBalancerArns");
    cleanup_json struct json *all = json_array();
    struct page page;

    if (!page_read(rq, "arn:", &page, err))
        return false;
    if (json_size(names) > 0 && json_size(arns) > 0)
        return err_set(err, ERR_ELB_VALIDATION, "Load balancer names and ARNs cannot be given together");
    if (json_size(names) > 0 || json_size(arns) > 0) {
        if (!describe_named(rq, names, all, err) || !describe_by_arn(rq, arns, all, err))
            return false;
    } else {
        for (const struct load_balancer *lb = rq->core->load_balancers; lb != NULL; lb = lb->next)
            if (strcmp(lb->region, rq->region) == 0)
                json_append(all, load_balancer_json(rq, lb));
    }
    page_write(&page, sorted_by(TAKE(all), "LoadBalancerArn"), "LoadBalancerArn", "LoadBalancers", out);
    return true;
}

bool
elb_delete_load_balancer(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "LoadBalancerArn", "");
    const struct event event = {.type = EVENT_LOAD_BALANCER_DELETE, .load_balancer_delete = {.arn = arn}};
    const struct load_balancer *lb = elb_find_load_balancer(rq, arn, err);

    if (lb == NULL) /* as AWS: deleting what is not there succeeds */
        return err->code == ERR_LOAD_BALANCER_NOT_FOUND;
    if (strcmp(json_get_cstr(lb->attributes, "deletion_protection.enabled", "false"), "true") == 0)
        return err_set(err, ERR_OPERATION_NOT_PERMITTED,
                       "Load balancer '%s' cannot be deleted because deletion protection is enabled", arn);
    for (const struct listener *l = rq->core->listeners; l != NULL; l = l->next)
        if (strcmp(l->load_balancer_arn, arn) == 0 && !listener_check_owner(rq, l->arn, err))
            return false;
    request_step(rq, &event);
    return true;
}

bool
elb_describe_load_balancer_attributes(struct request *rq, struct json *out, struct err *err)
{
    const struct load_balancer *lb =
        elb_find_load_balancer(rq, json_get_cstr(rq->input, "LoadBalancerArn", ""), err);

    if (lb == NULL)
        return false;
    json_set(out, "Attributes", attributes_list(lb->attributes));
    return true;
}

bool
elb_modify_load_balancer_attributes(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "LoadBalancerArn", "");
    const struct load_balancer *lb = elb_find_load_balancer(rq, arn, err);
    struct event event = {.type = EVENT_LOAD_BALANCER_PUT};
    const struct attribute_row *rows;
    struct json *changed;
    struct load_balancer *copy;
    size_t row_count;

    if (lb == NULL)
        return false;
    rows = rows_of(arn, &row_count);
    changed = attributes_change(rows, row_count, lb->attributes,
                                json_get(rq->input, "Attributes"), err);
    if (changed == NULL)
        return false;
    if (!elb_check_logs(changed, err)) {
        json_unref(changed);
        return false;
    }
    copy = elb_copy_load_balancer(lb, err);
    if (copy == NULL) {
        json_unref(changed);
        return false;
    }
    json_unref(copy->attributes);
    copy->attributes = changed;
    event.load_balancer_put.load_balancer = copy;
    request_step(rq, &event);
    json_set(out, "Attributes", attributes_list(core_load_balancer(rq->core, arn)->attributes));
    return true;
}
