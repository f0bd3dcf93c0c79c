/* SPDX-License-Identifier: MIT */
/* Every noun goes to a row and comes back, through text as through the store. */
#include "check.h"
#include "model/arn.h"
#include "model/balancing.h"
#include "model/certificate.h"
#include "model/trust_store.h"
#include "model/network.h"
#include "model/cluster.h"
#include "model/role.h"
#include "model/service.h"
#include "model/task.h"
#include "model/task_definition.h"

static struct json *
parse(const char *text)
{
    struct err err;
    struct json *j = json_parse(str_of(text), &err);

    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return j;
}

/* The row as the store would give it back. */
static struct json *
stored(struct json *row)
{
    char *text = json_format(row);
    struct json *again = parse(text);

    free(text);
    json_unref(row);
    return again;
}

#define SET(field, text) CHECK(text_copy(field, sizeof(field), str_of(text)))

/* encode(decode(encode(x))) == encode(x), and the row is not empty. */
#define CHECK_ROUND_TRIP(type, object)                                                             \
    do {                                                                                           \
        struct err err_;                                                                           \
        cleanup_json struct json *row_ = stored(type##_encode(object));                            \
        struct type *again_ = type##_decode(row_, &err_);                                          \
        cleanup_json struct json *second_ = NULL;                                                  \
        if (again_ == NULL)                                                                        \
            check_fail(__FILE__, __LINE__, "%s", err_.message);                                    \
        second_ = stored(type##_encode(again_));                                                   \
        CHECK(json_equal(row_, second_));                                                          \
        CHECK(json_size(row_) > 2);                                                                \
        type##_free(again_);                                                                       \
    } while (0)

TEST(names_of_enums_are_the_wire_names)
{
    enum target_state state;
    enum stop_code code;

    CHECK_TEXT(task_status_name(TASK_DEACTIVATING), "DEACTIVATING");
    CHECK_TEXT(stop_code_name(STOP_EssentialContainerExited), "EssentialContainerExited");
    CHECK_TEXT(threshold_type_name(THRESHOLD_COUNT), "COUNT");
    CHECK(target_state_parse(STR("draining"), &state) && state == TARGET_draining);
    CHECK(!target_state_parse(STR("DRAINING"), &state));
    CHECK(!stop_code_parse(STR(""), &code));
}

TEST(what_two_roles_have_in_common_is_one_of_the_five)
{
    static const char *const names[] = {"admin", "deploy", "push", "pull", "read-only"};
    static const char *const actions[][2] = {
        {"ecs", "UpdateService"}, {"ecs", "DescribeServices"}, {"ecs", "ListTasks"}, {"ecr", "PutImage"},
        {"ecr", "UploadLayerPart"}, {"ecr", "BatchGetImage"}, {"ecr", "BatchDeleteImage"}, {"ecr", "CreateRepository"},
        {"ecr", "GetAuthorizationToken"}, {"ecr", "BatchCheckLayerAvailability"}, {"ecr", "GetDownloadUrlForLayer"},
        {"ecr", "DescribeImages"}, {"ecr", "ListImageReferrers"}, {"ecr", "InitiateLayerUpload"}, {"ecr", "StartImageScan"},
        {"ecr", "GetLifecyclePolicy"}, {"elasticloadbalancing", "CreateRule"}, {"naru", "GET"}, {"naru", "POST"},
        {"sts", "AssumeRole"}, {"sts", "GetSessionToken"}, {"sts", "GetCallerIdentity"}, {"acm", "ImportCertificate"}};
    enum role role, a, b;

    for (size_t i = 0; i < 25; i++) {
        cleanup_free char *both = text_format("%s,%s", names[i / 5], names[i % 5]);
        CHECK(role_parse(str_of(names[i / 5]), &a) && role_parse(str_of(names[i % 5]), &b));
        CHECK(roles_parse(str_of(both), &role));
        for (size_t k = 0; k < ARRAY_COUNT(actions); k++) {
            const bool want = role_allows(a, actions[k][0], actions[k][1]) && role_allows(b, actions[k][0], actions[k][1]);
            if (role_allows(role, actions[k][0], actions[k][1]) != want)
                check_fail(__FILE__, __LINE__, "%s: %s:%s", both, actions[k][0], actions[k][1]);
        }
    }
    CHECK(!roles_parse(STR(""), &role) && !roles_parse(STR("push,root"), &role) && !roles_parse(STR("push,"), &role));
    CHECK(names_match_all(STR("a/*,b;*/x"), STR("a/x")) && !names_match_all(STR("a/*,b;*/x"), STR("a/y")));
    CHECK(names_match_all(STR(""), STR("a")) && !names_match_all(STR("a;b"), STR("b")));
}

TEST(arns_come_apart)
{
    struct arn a;
    char text[ARN_SIZE];

    CHECK(arn_parse(STR("arn:aws:ecs:eu-west-1:000000000000:task/c/0123"), &a));
    CHECK(str_is(a.service, "ecs") && str_is(a.region, "eu-west-1"));
    CHECK(str_is(a.account, "000000000000") && str_is(a.resource, "task/c/0123"));
    CHECK(str_is(arn_last(STR("arn:aws:ecs:eu-west-1:000000000000:task/c/0123")), "0123"));
    CHECK(str_is(arn_last(STR("web")), "web"));
    CHECK(arn_parse(STR("arn:aws:ecs:r:1:task-definition/web:7"), &a));
    CHECK(str_is(a.resource, "task-definition/web:7"));
    CHECK(!arn_parse(STR(""), &a) && !arn_parse(STR("arn:aws:ecs"), &a));
    CHECK(!arn_parse(STR("arn:aws:ecs:r:1:"), &a) && !arn_parse(STR("web"), &a));
    arn_format(text, "ecs", "r", "1", "service/%s/%s", "c", "web");
    CHECK_TEXT(text, "arn:aws:ecs:r:1:service/c/web");
}

TEST(clusters_and_instances_round_trip)
{
    struct cluster *c = mem_new(sizeof(*c));
    struct container_instance *i = mem_new(sizeof(*i));

    SET(c->arn, "arn:c");
    SET(c->name, "c");
    c->status = CLUSTER_INACTIVE;
    c->created_at_ms = 1767000000123;
    c->doc = parse("{\"settings\":[{\"name\":\"a\"}]}");
    c->tags = parse("[{\"key\":\"k\",\"value\":\"\"}]");
    CHECK_ROUND_TRIP(cluster, c);
    cluster_free(c);
    SET(i->arn, "arn:i");
    SET(i->host, "h");
    i->cpu_total = 2048;
    i->is_connected = true;
    i->doc = parse("{}");
    CHECK_ROUND_TRIP(container_instance, i);
    container_instance_free(i);
}

TEST(balancing_round_trips)
{
    struct load_balancer *lb = mem_new(sizeof(*lb));
    struct listener *l = mem_new(sizeof(*l));
    struct rule *r = mem_new(sizeof(*r));
    struct certificate *c = mem_new(sizeof(*c));
    struct trust_store *t = mem_new(sizeof(*t));
    struct network *n = mem_new(sizeof(*n));
    struct target_group *tg = mem_new(sizeof(*tg));
    struct target_group *again;
    struct err err;
    cleanup_json struct json *row = NULL;
    int weight;

    SET(lb->arn, "arn:lb");
    SET(lb->dns_name, "x.example");
    lb->is_internal = true;
    lb->attributes = parse("{\"idle_timeout.timeout_seconds\":\"60\"}");
    CHECK_ROUND_TRIP(load_balancer, lb);
    load_balancer_free(lb);

    SET(l->arn, "arn:l");
    l->port = 8080;
    SET(l->ssl_policy, "policy");
    l->certificates = parse("[\"arn:c\"]");
    l->mutual = parse("{\"Mode\":\"verify\",\"TrustStoreArn\":\"arn:t\"}");
    l->actions = parse("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:tg\"},{\"Type\":\"forward\","
                       "\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"arn:b\","
                       "\"Weight\":7}]}}]");
    l->attributes = parse("{\"routing.http.response.server.enabled\":\"false\"}");
    CHECK_ROUND_TRIP(listener, l);
    CHECK(listener_forwards_to(l, "arn:tg", &weight) && weight == 1);
    CHECK(listener_forwards_to(l, "arn:b", &weight) && weight == 7);
    CHECK(!listener_forwards_to(l, "arn:c", &weight));
    listener_free(l);

    SET(c->arn, "arn:c");
    c->created_at_ms = 1767000000123;
    c->imported_at_ms = 1767000000124;
    c->facts = parse("{\"DomainName\":\"a.example\"}");
    c->body = json_text("one");
    c->chain = json_text("two\nthree");
    c->private_key = json_text("key");
    c->tags = parse("[{\"Key\":\"a\"}]");
    CHECK_ROUND_TRIP(certificate, c);
    certificate_free(c);

    SET(t->arn, "arn:t");
    SET(t->name, "clients");
    t->created_at_ms = 1767000000125;
    t->certificate_count = 3;
    t->bundle = json_text("one\ntwo\nthree");
    t->tags = parse("[{\"Key\":\"a\"}]");
    CHECK_ROUND_TRIP(trust_store, t);
    trust_store_free(t);

    SET(r->arn, "arn:r");
    SET(r->listener_arn, "arn:l");
    r->priority = 50000;
    r->conditions = parse("[{\"Field\":\"path-pattern\",\"Values\":[\"/a\"]}]");
    r->actions = parse("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:tg\"}]");
    r->tags = parse("[{\"Key\":\"a\",\"Value\":\"b\"}]");
    CHECK_ROUND_TRIP(rule, r);
    CHECK(rule_forwards_to(r, "arn:tg"));
    CHECK(!rule_forwards_to(r, "arn:b"));
    rule_free(r);

    SET(n->arn, "arn:n");
    SET(n->id, "sg-0123456789abcdef0");
    n->kind = NETWORK_KIND_group;
    SET(n->vpc_id, "vpc-0123456789abcdef0");
    n->is_default = n->is_gone = true;
    n->doc = parse("{\"Description\":\"x\"}");
    CHECK_ROUND_TRIP(network, n);
    network_free(n);

    SET(tg->arn, "arn:tg");
    tg->target_type = TARGET_TYPE_ip;
    tg->check = (struct health_check){.enabled = true, .path = "/health", .interval_s = 5,
                                      .timeout_s = 2, .healthy_threshold = 5,
                                      .unhealthy_threshold = 2, .matcher = "200-299"};
    tg->deregistration_delay_s = 300;
    for (int i = 0; i < 3; i++) {
        struct target *x = mem_new(sizeof(*x));
        SET(x->id, "10.0.0.1");
        x->port = 80 + i;
        x->state = TARGET_draining;
        x->draining_since_ms = 5;
        x->next = tg->targets;
        tg->targets = x;
        tg->target_count++;
    }
    CHECK_ROUND_TRIP(target_group, tg);
    row = stored(target_group_encode(tg));
    again = target_group_decode(row, &err);
    CHECK(again != NULL && again->target_count == 3);
    CHECK(target_group_find(again, "10.0.0.1", 81) != NULL);
    CHECK(target_group_find(again, "10.0.0.1", 83) == NULL);
    CHECK_TEXT(again->check.path, "/health");
    target_group_free(again);
    target_group_free(tg);
}

static const char definition_text[] =
    "{\"taskDefinitionArn\":\"arn:aws:ecs:r:1:task-definition/web:3\",\"family\":\"web\","
    "\"revision\":3,\"networkMode\":\"awsvpc\",\"cpu\":\"256\",\"compatibilities\":[\"EC2\","
    "\"FARGATE\"],\"containerDefinitions\":["
    "{\"name\":\"app\",\"image\":\"a:1\",\"cpu\":10,\"memory\":100,\"memoryReservation\":60,"
    "\"essential\":true,\"healthCheck\":{\"command\":[\"CMD\",\"true\"]},\"portMappings\":["
    "{\"containerPort\":80,\"hostPort\":80,\"protocol\":\"tcp\"},"
    "{\"containerPort\":53,\"hostPort\":53,\"protocol\":\"udp\"},"
    "{\"containerPortRange\":\"8000-8010\"}]},"
    "{\"name\":\"side\",\"image\":\"b@sha256:1\",\"memory\":40,\"essential\":false,"
    "\"stopTimeout\":5,\"versionConsistency\":\"disabled\"}]}";

TEST(a_task_definition_is_read_from_its_document)
{
    cleanup_json struct json *doc = parse(definition_text);
    struct task_definition *td = task_definition_new("r", doc, /* tags= */ NULL);

    CHECK_TEXT(td->arn, "arn:aws:ecs:r:1:task-definition/web:3");
    CHECK_EQ(td->revision, 3);
    CHECK_EQ(td->network_mode, NETWORK_awsvpc);
    CHECK_EQ(td->cpu, 256);
    CHECK_EQ(td->memory_mib, 100); /* 60 reserved of the one, 40 of the other */
    CHECK(td->fits_ec2 && td->fits_fargate);
    CHECK_EQ(td->container_count, 2);
    CHECK_EQ(td->containers[0].port_count, 2);
    CHECK(td->containers[0].ports[1].is_udp);
    CHECK(td->containers[0].essential && td->containers[0].has_health_check);
    CHECK_EQ(td->containers[0].stop_timeout_s, 30);
    CHECK_EQ(td->containers[1].stop_timeout_s, 5);
    CHECK(td->containers[0].pins_digest && !td->containers[1].pins_digest);
    CHECK(task_definition_has_health_check(td));
    CHECK(task_definition_container(td, "side") == &td->containers[1]);
    CHECK(task_definition_container(td, "none") == NULL);
    CHECK_ROUND_TRIP(task_definition, td);
    task_definition_free(td);
}

TEST(a_row_of_before_ranges_has_single_ports)
{
    cleanup_json struct json *row = parse(
        "{\"id\":\"0\",\"arn\":\"a\",\"containers\":[{\"name\":\"app\",\"bindings\":["
        "{\"container_port\":80,\"host_port\":32768},{\"container_port\":53,\"host_port\":32769,\"is_udp\":true}]}]}");
    struct err err = {0};
    struct task *t = task_decode(row, &err);

    CHECK(t != NULL && t->container_count == 1 && t->containers[0].binding_count == 2);
    CHECK_EQ(t->containers[0].bindings[0].host_port, 32768);
    CHECK(t->containers[0].bindings[1].is_udp && t->containers[0].bindings[1].range_len == 0);
    task_free(t);
}

TEST(a_range_of_ports_is_two_numbers_that_rise)
{
    static const char *const bad[] = {"", "-", "80", "80-", "-80", "80-80", "81-80", "0-80", "1-65536", "1-2-3",
                                      "080-81", "80-081", "80 -81", "80- 81", "+80-81", "80--81", "a-b", "1-99999999999999999999"};
    int first = 7, last = 8;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!port_range_parse(bad[i], &first, &last));
    CHECK(first == 7 && last == 8);
    CHECK(port_range_parse("8000-8010", &first, &last));
    CHECK(first == 8000 && last == 8010);
    CHECK(port_range_parse("1-65535", &first, &last));
    CHECK(first == 1 && last == 65535);
}

TEST(gpus_are_read_from_containers_and_overrides)
{
    cleanup_json struct json *doc = parse(
        "{\"taskDefinitionArn\":\"a\",\"family\":\"f\",\"containerDefinitions\":["
        "{\"name\":\"a\",\"image\":\"i\",\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"2\"}]},"
        "{\"name\":\"b\",\"image\":\"i\",\"resourceRequirements\":[{\"type\":\"NeuronDevice\",\"value\":\"1\"}]},"
        /* of a version that did not look at them */
        "{\"name\":\"c\",\"image\":\"i\",\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"99999999999\"}]},"
        "{\"name\":\"d\",\"image\":\"i\",\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"-1\"}]}]}");
    cleanup_json struct json *overrides = parse(
        "{\"containerOverrides\":[{\"name\":\"b\"},"
        "{\"name\":\"a\",\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"3\"}]}]}");
    struct task_definition *td = task_definition_new("r", doc, /* tags= */ NULL);

    CHECK_EQ(td->containers[0].gpu_count, 2);
    CHECK_EQ(td->containers[1].gpu_count, 0);
    CHECK_EQ(td->containers[2].gpu_count, GPU_COUNT_MAX);
    CHECK_EQ(td->containers[3].gpu_count, 0);
    CHECK_EQ(td->gpu_count, 2 + GPU_COUNT_MAX);
    CHECK_EQ(task_definition_gpus(task_container_override(overrides, "a")), 3);
    CHECK_EQ(task_definition_gpus(task_container_override(overrides, "b")), 0);
    CHECK(task_container_override(overrides, "c") == NULL);
    CHECK(task_container_override(NULL, "a") == NULL);
    task_definition_free(td);
}

TEST(a_task_round_trips)
{
    struct task *t = task_new();

    const struct network_binding bindings[3] = {
        {80, 32768, false, 0}, {53, 32769, true, 0}, {8000, 40000, false, 11}};

    task_make_parts(t, /* container_count= */ 2, /* target_count= */ 1);
    SET(t->id, "0123");
    SET(t->arn, "arn:t");
    SET(t->stopped_reason, "because");
    t->last_status = TASK_DEACTIVATING;
    t->desired_status = TASK_STOPPED;
    t->has_stop_code = true;
    t->stop_code = STOP_UserInitiated;
    SET(t->containers[0].name, "app");
    CHECK(task_container_bind(&t->containers[0], bindings, 3));
    CHECK(!task_container_bind(&t->containers[0], bindings, 3));
    CHECK(task_container_bind(&t->containers[0], bindings, 2));
    CHECK(task_container_bind(&t->containers[0], bindings + 1, 2));
    CHECK(task_container_bind(&t->containers[0], t->containers[0].bindings, 1)); /* part of its own */
    CHECK_EQ(t->containers[0].bindings[0].host_port, 32769);
    CHECK(task_container_bind(&t->containers[0], bindings, 3));
    CHECK(task_container_bind(&t->containers[1], bindings, 1));
    CHECK(task_container_bind(&t->containers[1], NULL, 0));
    t->containers[1].has_exit_code = true; /* of 0: not the same as none */
    SET(t->targets[0].target_id, "i");
    t->targets[0].is_registered = t->targets[0].is_draining = true;
    t->drain_deadline_ms = 17;
    t->overrides = parse("{\"cpu\":\"1\"}");
    t->gpus = parse("{\"app\":[\"GPU-1\"]}");
    CHECK(!task_is_wanted(t));
    CHECK_ROUND_TRIP(task, t);
    task_free(t);
}

static struct service *
full_service(void)
{
    struct service *s = service_new();
    struct revision *r = mem_new(sizeof(*r));
    struct deployment *d = mem_new(sizeof(*d));
    struct service_deployment *sd = mem_new(sizeof(*sd));

    SET(s->arn, "arn:s");
    s->desired_count = 4;
    s->config = (struct deployment_config){
        .minimum_healthy_percent = 50, .maximum_percent = 150,
        .breaker = {.enable = true, .type = THRESHOLD_COUNT, .value = 7},
        .doc = parse("{\"maximumPercent\":150}")};
    SET(r->arn, "arn:r");
    r->launch_type = LAUNCH_FARGATE;
    r->load_balancers = mem_new(sizeof(r->load_balancers[0]));
    r->load_balancer_count = 1;
    SET(r->load_balancers[0].container_name, "app");
    r->images = mem_new(sizeof(r->images[0]));
    r->image_count = 1;
    SET(r->images[0].image, "a:1");
    SET(r->images[0].digest, "sha256:1");
    r->is_resolved = true;
    service_add_revision(s, r);
    SET(d->id, "ecs-svc/1");
    d->revision = r;
    d->failed_tasks = 2;
    d->is_rollback = true;
    s->deployments = d;
    SET(sd->arn, "arn:sd");
    sd->source_count = 2;
    SET(sd->source_revision_arns[1], "arn:r");
    sd->status = SD_ROLLBACK_IN_PROGRESS;
    sd->config = parse("{}");
    s->history = sd;
    service_add_event(s, "e", /* now_ms= */ 5, text_dup("(service s) has reached a steady state."));
    return s;
}

static struct service *
read_back(const struct json *row)
{
    struct err err = {0};
    struct service *s = service_decode(row, &err);

    CHECK(s != NULL);
    CHECK(service_link(s, &err));
    return s;
}

TEST(a_service_round_trips_with_all_it_owns)
{
    struct service *s = full_service(), *again;
    cleanup_json struct json *row = stored(service_encode(s)), *row_again = NULL;

    again = read_back(row);
    row_again = service_encode(again);
    CHECK(json_equal(row, row_again));
    CHECK(service_primary(again) == again->deployments);
    CHECK(again->deployments->revision == service_find_revision(again, "arn:r"));
    CHECK(service_find_deployment(again, "ecs-svc/1") == again->deployments);
    CHECK(service_find_deployment(again, "ecs-svc/2") == NULL);
    CHECK_EQ(service_current(again)->source_count, 2);
    CHECK_TEXT(again->events[0].message, "(service s) has reached a steady state.");
    service_free(again);
    service_free(s);
}

/* As the naru before parts wrote it: everything in one row, the events without a number. */
TEST(a_row_without_parts_is_read)
{
    cleanup_json struct json *row = parse(
        "{\"arn\":\"arn:s\",\"config\":{\"breaker\":{}},"
        "\"revisions\":[{\"arn\":\"arn:r1\",\"id\":\"1\"},{\"arn\":\"arn:r2\",\"id\":\"2\"}],"
        "\"deployments\":[{\"id\":\"ecs-svc/2\",\"revision\":\"arn:r2\"},"
        "{\"id\":\"ecs-svc/1\",\"status\":\"INACTIVE\",\"revision\":\"arn:r1\"}],"
        "\"history\":[{\"id\":\"b\"},{\"id\":\"a\"}],"
        "\"events\":[{\"id\":\"new\",\"message\":\"n\"},{\"id\":\"old\",\"message\":\"o\"}]}");
    struct service *s = read_back(row);

    CHECK_EQ(s->revision_count, 2);
    CHECK_TEXT(s->revisions[1]->id, "2");
    CHECK(!s->revisions[0]->has_row && !s->deployments->next->has_row && !s->history->next->has_row);
    CHECK_EQ(s->event_count, 2);
    CHECK_EQ(s->events_ever, 2);
    CHECK_TEXT(s->events[1].id, "old");
    service_free(s);
}

static void
add_part(struct service *to, const struct service *from, enum service_part kind, const char *id)
{
    cleanup_json struct json *row = service_encode_part(from, kind, id);
    cleanup_json struct json *through_text = NULL;

    CHECK(row != NULL);
    through_text = stored(json_ref(row));
    CHECK_TEXT(json_get_cstr(through_text, "service", ""), from->arn);
    service_add_part(to, kind, through_text);
}

static void
say(struct service *s, int count)
{
    for (int i = 0; i < count; i++) {
        char id[37];

        snprintf(id, sizeof(id), "e%d", (int)s->events_ever);
        service_add_event(s, id, s->events_ever, text_dup(id));
    }
}

TEST(events_are_stored_by_fives_and_the_oldest_go)
{
    struct service *s = full_service(), *again;
    struct err err = {0};
    char slot[16];

    for (int said = 0; said < 333; said++) {
        cleanup_json struct json *row = NULL;

        say(s, 1);
        s->event_rows = s->events_ever / EVENTS_A_ROW;
        CHECK(s->event_count >= (s->events_ever < EVENTS_MAX ? s->events_ever : EVENTS_MAX));
        CHECK(s->event_count < EVENTS_MAX + EVENTS_A_ROW);
        row = stored(service_encode(s));
        CHECK(json_size(json_get(row, "events")) < EVENTS_A_ROW);
        again = service_decode(row, &err);
        CHECK(again != NULL);
        for (int64_t k = 0; k < EVENT_ROWS_MAX && k < s->event_rows; k++) {
            snprintf(slot, sizeof(slot), "%d", (int)k);
            add_part(again, s, PART_EVENTS, slot);
        }
        CHECK(service_link(again, &err));
        CHECK_EQ(again->event_count, s->event_count);
        for (int i = 0; i < s->event_count; i++)
            CHECK_TEXT(again->events[i].id, s->events[i].id);
        service_free(again);
    }
    CHECK(service_encode_part(s, PART_EVENTS, "20") == NULL);
    CHECK(service_encode_part(s, PART_EVENTS, "x") == NULL);
    service_free(s);
}

TEST(parts_come_back_in_their_places)
{
    struct service *s = full_service(), *again;
    struct revision *older = mem_new(sizeof(*older));
    struct deployment *d = mem_new(sizeof(*d));
    struct service_deployment *sd = mem_new(sizeof(*sd));
    cleanup_json struct json *row = NULL, *row_again = NULL;
    struct err err = {0};

    SET(s->revisions[0]->id, "0000000000000000002");
    SET(older->id, "0000000000000000001");
    SET(older->arn, "arn:older");
    service_add_revision(s, s->revisions[0]);
    s->revisions[0] = older;
    SET(d->id, "ecs-svc/0");
    d->status = DEPLOYMENT_INACTIVE;
    d->revision = older;
    s->deployments->next = d;
    SET(sd->id, "sd-old");
    sd->status = SD_SUCCESSFUL;
    s->history->next = sd;
    CHECK(service_encode_part(s, PART_REVISION, older->id) == NULL); /* not yet */
    older->has_row = d->has_row = sd->has_row = true;
    row = stored(service_encode(s));
    CHECK_EQ(json_size(json_get(row, "revisions")), 1);

    again = service_decode(row, &err);
    CHECK(again != NULL);
    CHECK(!service_link(again, &err)); /* what the row names has to be there */
    CHECK(err.message[0] != '\0');
    service_free(again);

    again = service_decode(row, &err);
    add_part(again, s, PART_SERVICE_DEPLOYMENT, "sd-old");
    add_part(again, s, PART_DEPLOYMENT, "0");
    add_part(again, s, PART_REVISION, older->id);
    CHECK(service_link(again, &err));
    CHECK_TEXT(again->revisions[0]->arn, "arn:older");
    CHECK(again->deployments->next->revision == again->revisions[0]);
    CHECK(again->deployments->next->has_row && !again->deployments->has_row);
    CHECK_TEXT(again->history->next->id, "sd-old");
    row_again = service_encode(again);
    CHECK(json_equal(row, row_again));
    service_free(again);
    service_free(s);
}

/* Deployments in the order of `list`: as rows name them now, several in a text, and did, each in
 * its own. */
static void
check_named(const char *list)
{
    static const char *const ids[] = {"ecs-svc/4", "ecs-svc/3", "ecs-svc/9", "ecs-svc/1"};
    cleanup_free char *text = NULL;
    cleanup_json struct json *row = NULL;
    const struct deployment *d;
    struct err err = {0};
    struct service *s;
    int at = 0;

    CHECK(asprintf(&text, "{\"arn\":\"arn:s\",\"config\":{\"breaker\":{}},\"history\":[],"
                          "\"revisions\":[{\"arn\":\"arn:r\",\"id\":\"1\"}],\"deployments\":["
                          "{\"id\":\"ecs-svc/4\",\"revision\":\"arn:r\"},%s]}", list) > 0);
    row = parse(text);
    s = service_decode(row, &err);
    CHECK(s != NULL);
    for (size_t i = 1; i < ARRAY_COUNT(ids); i++) {
        cleanup_json struct json *part = json_object();
        json_set(part, "id", json_text(ids[i]));
        json_set(part, "revision", json_text("arn:r"));
        json_set(part, "status", json_text("INACTIVE"));
        service_add_part(s, PART_DEPLOYMENT, part);
    }
    CHECK(service_link(s, &err));
    for (d = s->deployments; d != NULL; d = d->next, at++) {
        CHECK_TEXT(d->id, ids[at]);
        CHECK_EQ(d->has_row, at > 0);
    }
    CHECK_EQ(at, 4);
    service_free(s);
}

TEST(parts_are_named_together_or_one_by_one)
{
    check_named("\"ecs-svc/3 ecs-svc/9 ecs-svc/1\"");
    check_named("\"ecs-svc/3\",\"ecs-svc/9\",\"ecs-svc/1\"");
    check_named("\"ecs-svc/3\",\"ecs-svc/9 ecs-svc/1\"");
}

static void
check_refused(const char *text)
{
    cleanup_json struct json *row = parse(text);
    struct err err = {0};
    struct service *s = service_decode(row, &err);

    CHECK(s == NULL || !service_link(s, &err));
    service_free(s);
    CHECK_EQ(err.code, ERR_INTERNAL);
    CHECK(err.message[0] != '\0');
}

TEST(damaged_rows_are_refused)
{
    check_refused("[]");
    check_refused("{\"status\":\"WRONG\"}");
    check_refused("{\"status\":7}");
    check_refused("{\"config\":{},\"desired_count\":\"4\"}");
    check_refused("{\"config\":{},\"desired_count\":99999999999}");
    check_refused("{\"config\":{\"breaker\":{}},\"deployments\":[{\"id\":\"x\",\"revision\":\"none\"}]}");
    check_refused("{\"config\":{\"breaker\":{}},\"revisions\":[{\"images\":{}}]}");
    check_refused("{\"config\":{\"breaker\":{}},\"events\":[{\"id\":\"a text that is far too long to be "
                  "the id of any event\"}]}");
    check_refused("{\"config\":{\"breaker\":{}},\"history\":[\"gone\"]}");
    check_refused("{\"config\":{\"breaker\":{}},\"history\":[\"gone as well\"]}");
    check_refused("{\"config\":{\"breaker\":{}},\"history\":[\"\"]}");
    check_refused("{\"config\":{\"breaker\":{}},\"events_ever\":7,\"events\":[]}");
    check_refused("{\"config\":{\"breaker\":{}},\"events_ever\":7,\"event_rows\":1,\"events\":[{\"id\":\"a\"},"
                  "{\"id\":\"b\"}]}");
    check_refused("{\"config\":{\"breaker\":{}},\"event_rows\":-1,\"events\":[]}");
}
