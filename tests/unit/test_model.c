/* SPDX-License-Identifier: MIT */
/* Every noun goes to a row and comes back, through text as through the store. */
#include "check.h"
#include "model/arn.h"
#include "model/balancing.h"
#include "model/cluster.h"
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
    l->actions = parse("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:tg\"},{\"Type\":\"forward\","
                       "\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":\"arn:b\","
                       "\"Weight\":7}]}}]");
    CHECK_ROUND_TRIP(listener, l);
    CHECK(listener_forwards_to(l, "arn:tg", &weight) && weight == 1);
    CHECK(listener_forwards_to(l, "arn:b", &weight) && weight == 7);
    CHECK(!listener_forwards_to(l, "arn:c", &weight));
    listener_free(l);

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

TEST(a_task_round_trips)
{
    struct task *t = task_new();

    task_make_parts(t, /* container_count= */ 2, /* target_count= */ 1);
    SET(t->id, "0123");
    SET(t->arn, "arn:t");
    SET(t->stopped_reason, "because");
    t->last_status = TASK_DEACTIVATING;
    t->desired_status = TASK_STOPPED;
    t->has_stop_code = true;
    t->stop_code = STOP_UserInitiated;
    SET(t->containers[0].name, "app");
    t->containers[0].binding_count = 2;
    t->containers[0].bindings[1] = (struct network_binding){53, 32769, true};
    t->containers[1].has_exit_code = true; /* of 0: not the same as none */
    SET(t->targets[0].target_id, "i");
    t->targets[0].is_registered = t->targets[0].is_draining = true;
    t->drain_deadline_ms = 17;
    t->overrides = parse("{\"cpu\":\"1\"}");
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
    r->load_balancer_count = 1;
    SET(r->load_balancers[0].container_name, "app");
    r->image_count = 1;
    SET(r->images[0].image, "a:1");
    SET(r->images[0].digest, "sha256:1");
    r->is_resolved = true;
    s->revisions[s->revision_count++] = r;
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
    s->event_count = 1;
    SET(s->events[0].id, "e");
    s->events[0].message = text_dup("(service s) has reached a steady state.");
    return s;
}

TEST(a_service_round_trips_with_all_it_owns)
{
    struct service *s = full_service(), *again;
    cleanup_json struct json *row = stored(service_encode(s));
    struct err err;

    CHECK_ROUND_TRIP(service, s);
    again = service_decode(row, &err);
    CHECK(again != NULL);
    CHECK(service_primary(again) == again->deployments);
    CHECK(again->deployments->revision == service_find_revision(again, "arn:r"));
    CHECK(service_find_deployment(again, "ecs-svc/1") == again->deployments);
    CHECK(service_find_deployment(again, "ecs-svc/2") == NULL);
    CHECK_EQ(service_current(again)->source_count, 2);
    CHECK_TEXT(again->events[0].message, "(service s) has reached a steady state.");
    service_free(again);
    service_free(s);
}

static void
check_refused(const char *text)
{
    cleanup_json struct json *row = parse(text);
    struct err err = {0};

    CHECK(service_decode(row, &err) == NULL);
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
}
