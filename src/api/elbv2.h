/* SPDX-License-Identifier: MIT */
/* elbv2.h - what the handlers of load balancing share (alb.md part A).
 * Names of members are the wire's; lists are JSON arrays.  A setting that naru does not act upon
 * is refused unless it has the default's value: what is stored is done. */
#pragma once
#include "api/elbv2_limits.h"
#include "api/operations.h"
#include "model/arn.h"

/* ---- names and finding ---- */
bool elb_name_check(const char *what, const char *name, bool refuses_double_hyphen, struct err *err);
struct load_balancer *elb_find_load_balancer(const struct request *rq, const char *arn, struct err *err);
struct target_group *elb_find_target_group(const struct request *rq, const char *arn, struct err *err);
struct listener *elb_find_listener(const struct request *rq, const char *arn, struct err *err);

struct rule *elb_find_rule(const struct request *rq, const char *arn, struct err *err);
/* The listener whose default rule has the ARN, or NULL. */
struct listener *elb_find_default_rule(const struct request *rq, const char *arn);
bool elb_arn_is_of(const char *arn, const char *kind); /* "targetgroup/", ... */

/* ---- elbv2_tcp.c: network load balancers, whose listeners, groups and health checks speak TCP ---- */
bool elb_is_network(const char *lb_arn);
bool elb_is_tcp(const struct target_group *tg);
/* Of a load balancer of type network; `protocol` is the one that the listener shall have, or NULL. */
bool elb_network_check_listener(const struct json *in, const char *protocol, struct err *err) MUST_CHECK;
bool elb_network_check_actions(const struct json *actions, struct err *err) MUST_CHECK;
/* May the load balancer lead to the group?  Each type has protocols of its own. */
bool elb_check_protocols(const char *lb_arn, const struct target_group *tg, struct err *err) MUST_CHECK;
void elb_tcp_health_defaults(const struct json *in, struct health_check *check);
/* Changes what is given and keeps the rest. */
bool elb_take_tcp_health(const struct json *in, struct health_check *check, struct err *err) MUST_CHECK;

/* What health checks of every protocol have: port, path, times, thresholds; changes what is given. */
bool elb_take_health_common(const struct json *in, struct health_check *check, struct err *err) MUST_CHECK;

/* ---- tags: arrays of {Key, Value} ---- */
bool elb_tags_check(const struct json *tags, struct err *err);

/* ---- actions ---- */
/* The actions of a listener or rule of the load balancer, written out in full, or NULL and err. */
struct json *elb_accept_actions(const struct request *rq, const char *lb_arn, const struct json *actions,
                                struct err *err) MUST_CHECK;

/* Of all groups that its listeners and rules lead to. */
int elb_targets_of(const struct request *rq, const char *lb_arn);
/* With these actions instead of those of the listener or rule (NULL: beside all there are), would the load
 * balancer lead to more groups or targets than it may?  Who adds no group is not asked. */
bool elb_check_groups(const struct request *rq, const char *lb_arn, const struct json *actions,
                      const struct listener *of_listener, const struct rule *of_rule, struct err *err) MUST_CHECK;
/* Certificates and security policy of the request onto a listener that has its protocol, and perhaps some
 * already: what HTTPS needs, and what no other listener may have. */
bool elb_accept_tls(const struct request *rq, struct listener *l, struct err *err) MUST_CHECK;
void elb_set_tls(const struct listener *l, struct json *out); /* for DescribeListeners */
/* ---- elbv2_trust_store.c: by whom clients are verified ---- */
struct trust_store *elb_find_trust_store(const struct request *rq, const char *arn, struct err *err);
struct elb_object { /* a file under a bucket's name */
    const char *what, *bucket, *key, *version, *version_member; /* no version, or NULL */
    size_t size_max;
    enum err_code not_found, invalid;
};
bool elb_read_object(const struct request *rq, const struct elb_object *object, struct strbuf *out,
                     struct err *err) MUST_CHECK;
/* MutualAuthentication of the request onto a listener that has its protocol. */
bool elb_accept_mutual(const struct request *rq, struct listener *l, struct err *err) MUST_CHECK;
struct json *elb_mutual_json(const struct listener *l); /* for DescribeListeners */
/* ---- elbv2_revocation.c: which of them are not believed any more ---- */
int64_t elb_revoked_entries(const struct trust_store *t);
const struct json *elb_find_revocation(const struct trust_store *t, int64_t id); /* NULL: not there */
/* ---- elbv2_content.c: what is in them, by the URLs given out for it ---- */
/* The status, and in `out` what is there or why not.  Any thread. */
int elb_content_read(struct api *api, struct str path, struct str query, int64_t now_ms, struct strbuf *out);
/* ---- elbv2_condition.c, elbv2_transform.c: of rules ---- */
/* Its conditions as DescribeRules shows them, or NULL and err. */
struct json *elb_accept_conditions(const struct json *conditions, struct err *err) MUST_CHECK;
/* How many regular expressions they have whose time grows with the square of the text. */
int elb_count_slow(const struct json *conditions);
/* The same of its transforms. */
struct json *elb_accept_transforms(const struct json *transforms, struct err *err) MUST_CHECK;

/* ---- attributes: a JSON object {key: "value"} with every key of the table ---- */
struct attribute_row {
    const char *key, *fallback;
    /* "int:MIN:MAX", "bool", "one:a,b,c", "text", or "fixed": only the default can be had */
    const char *rule;
};
/* Of network load balancers and their target groups. */
extern const struct attribute_row elb_network_rows[], elb_tcp_group_rows[];
extern const size_t elb_network_row_count, elb_tcp_group_row_count;
struct json *attributes_default(const struct attribute_row *rows, size_t count);
/* A changed copy of `old`, or NULL and err; `list` is [{Key, Value}]. */
struct json *attributes_change(const struct attribute_row *rows, size_t count, const struct json *old,
                               const struct json *list, struct err *err) MUST_CHECK;
/* Do the attributes of a load balancer name a place for its access logs, if it is to keep any? */
bool elb_check_logs(const struct json *attributes, struct err *err) MUST_CHECK;
/* [{Key, Value}] of an attributes object. */
struct json *attributes_list(const struct json *attributes);

struct json *target_group_default_attributes(bool is_tcp);
/* To be changed and put in its place, or NULL and err. */
struct target_group *target_group_copy(const struct target_group *tg, struct err *err) MUST_CHECK;

/* ---- paging: sorted texts; the marker is the last one given ---- */
struct page {
    const char *after; /* "" at the first page */
    int64_t size;
};
/* `begins` is how every marker of the list begins. */
bool page_read(const struct request *rq, const char *begins, struct page *out, struct err *err);
/* `items` is a sorted array of objects whose member `key` is the sort text; moves one page into
 * out[name], and sets NextMarker if there is more. Frees `items`. */
void page_write(const struct page *page, struct json *items, const char *key, const char *name, struct json *out);
/* Sorts an array of objects by the text of `key`. Gives a new array and frees the old one. */
struct json *sorted_by(struct json *items, const char *key);

/* ---- where a load balancer stands ---- */
/* Of its subnets, if they are known here. */
const char *elb_vpc_of(const struct request *rq, const struct load_balancer *lb);
/* What is asked for by Subnets or SubnetMappings, as an array of ids, or NULL and err. */
struct json *elb_accept_subnets(const struct request *rq, bool is_network, struct err *err) MUST_CHECK;
/* The same; of the VPC of the subnets, as far as both are known. */
struct json *elb_accept_security_groups(const struct request *rq, const struct json *subnets, struct err *err) MUST_CHECK;
bool elb_check_address_type(const struct json *input, struct err *err) MUST_CHECK;
struct json *elb_zones_json(const struct request *rq, const struct load_balancer *lb); /* AvailabilityZones */
/* To be changed and put in its place by EVENT_LOAD_BALANCER_PUT. */
struct load_balancer *elb_copy_load_balancer(const struct load_balancer *lb, struct err *err) MUST_CHECK;

/* ---- describing ---- */
struct json *load_balancer_json(const struct request *rq, const struct load_balancer *lb);
struct json *target_group_json(const struct request *rq, const struct target_group *tg);
struct json *listener_json(const struct listener *l);
/* out[list] = [item]; takes `item` over. */
void elb_answer_one(struct json *out, const char *list, struct json *item);
bool listener_check_owner(const struct request *rq, const char *arn, struct err *err) MUST_CHECK;
/* The load balancer that serves the group, or NULL. */
const struct load_balancer *target_group_load_balancer(const struct core *core, const char *arn);

/* ---- handlers, one file a noun ---- */
operation_handler elb_create_load_balancer, elb_describe_load_balancers, elb_delete_load_balancer,
    elb_describe_load_balancer_attributes, elb_modify_load_balancer_attributes;
operation_handler elb_set_subnets, elb_set_security_groups, elb_set_ip_address_type, elb_describe_account_limits;
operation_handler elb_create_target_group, elb_describe_target_groups, elb_modify_target_group,
    elb_delete_target_group, elb_describe_target_group_attributes, elb_modify_target_group_attributes;
operation_handler elb_register_targets, elb_deregister_targets, elb_describe_target_health;
operation_handler elb_create_listener, elb_describe_listeners, elb_modify_listener, elb_delete_listener;
operation_handler elb_describe_listener_attributes, elb_modify_listener_attributes;
operation_handler elb_create_rule, elb_describe_rules, elb_modify_rule, elb_delete_rule, elb_set_rule_priorities;
operation_handler elb_add_listener_certificates, elb_remove_listener_certificates,
    elb_describe_listener_certificates, elb_describe_ssl_policies;
operation_handler elb_create_trust_store, elb_describe_trust_stores, elb_describe_trust_store_associations,
    elb_modify_trust_store, elb_delete_trust_store, elb_add_trust_store_revocations,
    elb_describe_trust_store_revocations, elb_remove_trust_store_revocations, elb_get_trust_store_bundle,
    elb_get_trust_store_revocation;
operation_handler elb_add_tags, elb_remove_tags, elb_describe_tags;
