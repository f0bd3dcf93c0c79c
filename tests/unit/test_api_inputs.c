/* SPDX-License-Identifier: MIT */
/* Inputs drawn from the models themselves: whatever a client may send is answered with success or
 * with an error of its own, and the core's promises hold after every step. */
#include "api/shapes.h"
#include "api_world.h"
#include "base/uri.h"

#define LIST_MAX 3

struct draw {
    bool is_ec2; /* names of members and lists are those of its form */
    const struct world *w;
    struct rng dice;
};

/* What makes an input meaningful more often than chance would; '@' is the ARN of such a thing. */
static const struct {
    const char *member, *value;
} usual[] = {
    {"cluster", "c"},
    {"clusterName", "c"},
    {"service", "s"},
    {"serviceName", "s"},
    {"services", "s"},
    {"taskDefinition", "web"},
    {"family", "web"},
    {"containerName", "app"},
    {"name", "app"},
    {"image", "i:1"},
    {"networkMode", "bridge"},
    {"launchType", "EC2"},
    {"strategy", "ROLLING"},
    {"capacityProvider", "FARGATE"},
    {"Protocol", "HTTP"},
    {"Type", "forward"},
    {"TargetType", "ip"},
    {"Id", "10.0.0.1"},
    {"Name", "lb"},
    {"HealthCheckPath", "/"},
    {"StatusCode", "200"},
    {"schedulingStrategy", "REPLICA"},
    {"task", "@task"},
    {"tasks", "@task"},
    {"targetGroupArn", "@group"},
    {"TargetGroupArn", "@group"},
    {"TargetGroupArns", "@group"},
    {"LoadBalancerArn", "@balancer"},
    {"LoadBalancerArns", "@balancer"},
    {"ListenerArn", "@listener"},
    {"ListenerArns", "@listener"},
    {"serviceDeploymentArn", "@deployment"},
    {"serviceDeploymentArns", "@deployment"},
    {"serviceRevisionArns", "@revision"},
    {"memory", "512"},
    {"cpu", "256"},
    {"command", "CMD"},
    {"taskRoleArn", "worker"},
    {"executionRoleArn", "worker"},
    {"sourceVolume", "app"},
    {"containerPath", "/data"},
    {"logDriver", "json-file"},
};

static const char *
arn_of(const struct core *core, const char *kind)
{
    const struct service *s = core->services;

    if (strcmp(kind, "@task") == 0 && core->tasks != NULL)
        return core->tasks->arn;
    if (strcmp(kind, "@group") == 0 && core->target_groups != NULL)
        return core->target_groups->arn;
    if (strcmp(kind, "@balancer") == 0 && core->load_balancers != NULL)
        return core->load_balancers->arn;
    if (strcmp(kind, "@listener") == 0 && core->listeners != NULL)
        return core->listeners->arn;
    if (strcmp(kind, "@deployment") == 0 && s != NULL && s->history != NULL)
        return s->history->arn;
    if (strcmp(kind, "@revision") == 0 && s != NULL && s->revision_count > 0)
        return s->revisions[0]->arn;
    return s != NULL ? s->arn : "arn:aws:ecs:::";
}

static const char *
pick_text(struct draw *d, const struct shape *shape, const char *name)
{
    static const char *const odd[] = {"",
                                      " ",
                                      "a b",
                                      "web:1",
                                      "web:x",
                                      ":",
                                      "/",
                                      "/x",
                                      "80",
                                      "256",
                                      "512",
                                      ".5 vCPU",
                                      "1 GB",
                                      "default",
                                      "CMD",
                                      "CMD-SHELL",
                                      "\xc3\xbc\n\t\"'<&>",
                                      "-",
                                      "a=b",
                                      "$(x)"};
    static char long_text[2001];

    for (size_t i = 0; i < ARRAY_COUNT(usual) && name != NULL; i++)
        if (strcmp(usual[i].member, name) == 0 && rng_below(&d->dice, 10) > 0)
            return usual[i].value[0] == '@' ? arn_of(d->w->core, usual[i].value) : usual[i].value;
    if (shape->values != NULL && rng_below(&d->dice, 10) > 0)
        return shape->values[rng_below(&d->dice, (uint64_t)shape->value_count)];
    memset(long_text, 'x', sizeof(long_text) - 1);
    switch (rng_below(&d->dice, 4)) {
    case 0:
        return odd[rng_below(&d->dice, ARRAY_COUNT(odd))];
    case 1:
        return long_text + rng_below(&d->dice, sizeof(long_text));
    case 2:
        return "app";
    default:
        return arn_of(d->w->core, usual[rng_below(&d->dice, ARRAY_COUNT(usual))].value);
    }
}

static int64_t
pick_number(struct draw *d, const struct shape *shape)
{
    static const int64_t odd[] = {-1,  0,   1,    2,     4,     10,        80,
                                  100, 200, 8080, 65535, 65536, INT32_MAX, INT32_MIN};

    if (shape->has_min && shape->has_max && rng_below(&d->dice, 4) > 0)
        return shape->min +
               (int64_t)rng_below(
                   &d->dice,
                   (uint64_t)(shape->max < shape->min + 100 ? shape->max - shape->min + 1 : 100));
    return odd[rng_below(&d->dice, ARRAY_COUNT(odd))];
}

static struct json *draw_value(struct draw *d, const struct shape *shape, const char *name,
                               int depth);

/* Without these hardly a request gets past the first check. */
static bool
is_listed(const char *name)
{
    static const char *const names[] = {
        "cluster", "desiredCount", "taskDefinition", "name",           "image",
        "memory",  "Port",         "Protocol",       "TargetGroupArn", "Value"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static struct json *
draw_structure(struct draw *d, const struct shape *shape, int depth)
{
    struct json *o = json_object();
    const uint64_t optional = rng_below(&d->dice, 3) * 8; /* per cent */

    for (int i = 0; i < shape->member_count; i++) {
        const struct shape_member *m = &shape->members[i];
        const bool is_usual = is_listed(m->name);

        if (rng_below(&d->dice, 100) < (m->required || is_usual ? 97 : optional))
            json_set(o, d->is_ec2 && m->wire != NULL ? m->wire : m->name,
                     draw_value(d, m->shape, m->name, depth + 1));
    }
    return o;
}

static struct json *
draw_value(struct draw *d, const struct shape *shape, const char *name, int depth)
{
    struct json *value;

    switch (shape->type) {
    case SHAPE_STRUCTURE:
        return draw_structure(d, shape, depth);
    case SHAPE_LIST:
        value = json_array();
        for (uint64_t i = rng_below(&d->dice, 8) > 0 ? 1 : rng_below(&d->dice, LIST_MAX); i > 0;
             i--)
            json_append(value, draw_value(d, shape->members[0].shape, name, depth + 1));
        return value;
    case SHAPE_MAP:
        value = json_object();
        for (uint64_t i = rng_below(&d->dice, LIST_MAX); i > 0; i--)
            json_set(value, pick_text(d, shape->members[0].shape, NULL),
                     draw_value(d, shape->members[1].shape, NULL, depth + 1));
        return value;
    case SHAPE_INTEGER:
    case SHAPE_LONG:
        return json_int(pick_number(d, shape));
    case SHAPE_DOUBLE:
    case SHAPE_TIMESTAMP:
        return json_real((double)pick_number(d, shape) / 2);
    case SHAPE_BOOLEAN:
        return json_bool(rng_below(&d->dice, 2) == 0);
    default:
        return json_text(pick_text(d, shape, name));
    }
}

/* "&A.member.1.B=x", as Query clients write a value; `items` is ".member", or nothing for EC2. */
static void
write_form(struct strbuf *out, const char *name, const struct json *value, const char *items)
{
    char inner[1024];

    if (json_type(value) == JSON_OBJECT) {
        for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
            snprintf(inner, sizeof(inner), "%s%s%s", name, name[0] != '\0' ? "." : "",
                     json_key(it));
            write_form(out, inner, json_value(it), items);
        }
    } else if (json_type(value) == JSON_ARRAY) {
        for (size_t i = 0; i < json_size(value); i++) {
            snprintf(inner, sizeof(inner), "%s%s.%zu", name, items, i + 1);
            write_form(out, inner, json_at(value, i), items);
        }
    } else {
        cleanup_free char *text =
            json_type(value) == JSON_TEXT ? text_dup(json_cstr(value, "")) : json_format(value);
        strbuf_addf(out, "&%s=", name);
        uri_encode(out, str_of(text), false);
    }
}

/* Sends one drawn request; gives the status. */
static int
send_drawn(struct world *w, struct draw *d, const struct model *model,
           const struct model_operation *op)
{
    cleanup_json struct json *input = NULL;
    cleanup(strbuf_done) struct strbuf body = {0};
    char target[128];
    int status;

    d->is_ec2 = model->is_ec2;
    input = draw_structure(d, op->input, 0);
    if (model->is_query) {
        strbuf_addf(&body, "Action=%s&Version=%s", op->name, model->version);
        write_form(&body, "", input, model->is_ec2 ? "" : ".member");
        status = world_send(w, model->signing_name, "application/x-www-form-urlencoded", NULL,
                            strbuf_cstr(&body));
    } else {
        cleanup_free char *text = json_format(input);
        strbuf_add_cstr(&body, text);
        snprintf(target, sizeof(target), "%s.%s", model->target_prefix, op->name);
        status = world_send(w, model->signing_name, "application/x-amz-json-1.1", target, text);
    }
    core_check(w->core);
    if (status != 200 && status != 400 && !(model->is_ec2 && status == 412) && /* a dry run */
        !(strcmp(model->service, "cloudwatch") == 0 && status == 503)) /* nobody sees traffic here */
        check_fail(__FILE__, __LINE__, "%s %s: %d %s", op->name, strbuf_cstr(&body), status,
                   w->body);
    return status;
}

/* Something of each kind, as far as it is not there. */
static void
prepare(struct world *w)
{
    const char *elb = "elasticloadbalancing", *form = "application/x-www-form-urlencoded";
    char listener[2048];

    world_call(w, "CreateCluster", "{'clusterName':'c','capacityProviders':['FARGATE']}");
    world_call(w, "RegisterTaskDefinition",
               "{'family':'web','containerDefinitions':[{'name':'app','image':'i:1','memory':64,"
               "'portMappings':[{'containerPort':80}]}]}");
    world_try(
        w, "CreateService",
        "{\"cluster\":\"c\",\"serviceName\":\"s\",\"taskDefinition\":\"web\",\"desiredCount\":2}");
    world_send(w, elb, form, NULL,
               "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b");
    world_send(w, elb, form, NULL,
               "Action=CreateTargetGroup&Name=tg&Protocol=HTTP&Port=80&TargetType=ip");
    if (w->core->load_balancers == NULL || w->core->target_groups == NULL)
        return;
    snprintf(listener, sizeof(listener),
             "Action=CreateListener&Protocol=HTTP&Port=8080&LoadBalancerArn=%s&DefaultActions."
             "member.1.Type=forward"
             "&DefaultActions.member.1.TargetGroupArn=%s",
             w->core->load_balancers->arn, w->core->target_groups->arn);
    world_send(w, elb, form, NULL, listener);
}

TEST(whatever_the_models_allow_is_answered)
{
    int taken = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        cleanup(world_done) struct world w;
        struct draw d = {.w = &w};

        rng_seed(&d.dice, seed);
        world_init(&w);
        prepare(&w);
        for (int step = 0; step < 1500; step++) {
            const struct model *model = &models[rng_below(&d.dice, model_count)];
            const struct model_operation *op =
                &model->operations[rng_below(&d.dice, model->operation_count)];

            if (strcmp(model->service, "ecr") == 0 ||
                op->input == NULL) /* wants a registry; not built */
                continue;
            taken += send_drawn(&w, &d, model, op) == 200;
            if (rng_below(&d.dice, 20) == 0)
                world_settle(&w);
            if (rng_below(&d.dice, 50) == 0)
                world_wait(&w, (int64_t)rng_below(&d.dice, 90000));
            if (rng_below(&d.dice, 50) == 0)
                prepare(&w);
        }
    }
    CHECK(taken > 500); /* else they only knocked at the door */
}

/* What deploy tools do: describe, leave out what only the server says, register again. */
static void
register_again(struct world *w, const struct json *definition)
{
    static const char *const read_only[] = {"taskDefinitionArn",  "revision",        "status",
                                            "requiresAttributes", "compatibilities", "registeredAt",
                                            "registeredBy"};
    cleanup_json struct json *first = json_copy(definition), *second = NULL;
    cleanup_free char *text = NULL, *again = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(read_only); i++)
        json_delete(first, read_only[i]);
    text = json_format(first);
    if (world_try(w, "RegisterTaskDefinition", text) != 200)
        check_fail(__FILE__, __LINE__, "%s: %s", text, w->body);
    second = json_copy(json_get(w->answer, "taskDefinition"));
    for (size_t i = 0; i < ARRAY_COUNT(read_only); i++)
        json_delete(second, read_only[i]);
    again = json_format(second);
    if (!json_equal(first, second))
        check_fail(__FILE__, __LINE__, "%s became %s", text, again);
}

TEST(a_described_definition_can_be_registered_again)
{
    cleanup(world_done) struct world w;
    struct draw d = {.w = &w};
    const struct model_operation *op = NULL;
    int taken = 0;

    rng_seed(&d.dice, 11);
    world_init(&w);
    for (size_t m = 0; m < model_count; m++)
        if (strcmp(models[m].service, "ecs") == 0)
            op = model_find_operation(&models[m], STR("RegisterTaskDefinition"));
    CHECK(op != NULL);
    for (int i = 0; i < 5000; i++) {
        cleanup_json struct json *input = draw_structure(&d, op->input, 0);
        cleanup_free char *text = json_format(input);

        if (world_try(&w, "RegisterTaskDefinition", text) != 200)
            continue;
        taken++;
        register_again(&w, json_get(w.answer, "taskDefinition"));
    }
    CHECK(taken > 200);
}
