/* SPDX-License-Identifier: MIT */
/* The index of place_find() against a walk over all instances, in random worlds: the same instance
 * is chosen, the same dice are thrown, and where nothing fits the same closest instance and lack
 * are named. */
#include <stdlib.h>
#include "base/random.h"
#include "check.h"
#include "core/placement.h"

#define REGION "eu-west-1"
#define HOSTS_MAX 40
#define GROUPS 4
#define SERVICES 3

struct world {
    struct core *core;
    struct rng rng;
    int64_t now_ms;
    int host_count, definition_count, clusters_made;
};

static int
below(struct world *w, int bound)
{
    return (int)rng_below(&w->rng, (uint64_t)bound);
}

/* ---- the walk ---- */

struct walk {
    struct container_instance *at[HOSTS_MAX];
    int peers[HOSTS_MAX]; /* of every instance of the cluster, in its order */
    struct container_instance *all[HOSTS_MAX];
    int count, all_count;
};

static int
peers_on(const struct walk *k, const struct container_instance *i)
{
    for (int n = 0; n < k->all_count; n++) {
        if (k->all[n] == i)
            return k->peers[n];
    }
    return 0;
}

static bool
is_peer(const struct place_request *rq, const struct task *t)
{
    return task_is_wanted(t) && t->last_status != TASK_STOPPED &&
           (rq->service != NULL ? t->service == rq->service
                                : t->service == NULL && strcmp(t->group, rq->group) == 0);
}

static struct str
value_on(const struct container_instance *i, const char *attribute)
{
    struct str value = {0};

    (void)container_instance_attribute(i, str_of(attribute), &value);
    return value;
}

static int64_t
left_on(const struct container_instance *i, bool is_cpu)
{
    const struct host *h = i->machine;
    const int total = is_cpu ? h->cpu_total : h->memory_total_mib;

    return total == 0 ? INT32_MAX : total - (is_cpu ? h->cpu_used : h->memory_used_mib);
}

static int64_t
cost(const struct walk *k, const struct container_instance *i, const struct placement_strategy *s)
{
    int64_t n = 0;

    switch (s->kind) {
    case BINPACK_CPU:
    case BINPACK_MEMORY:
        return left_on(i, s->kind == BINPACK_CPU);
    case SPREAD_INSTANCE:
        return peers_on(k, i);
    case SPREAD_ATTRIBUTE:
        for (int m = 0; m < k->all_count; m++) {
            if (str_equal(value_on(k->all[m], s->attribute), value_on(i, s->attribute)))
                n += k->peers[m];
        }
        return n;
    case RANDOM:
        break;
    }
    return n;
}

static void
narrow(struct walk *k, const struct placement_strategy *s, struct rng *dice)
{
    int64_t costs[HOSTS_MAX], best = INT64_MAX;
    int kept = 0;

    if (s->kind == RANDOM) {
        k->at[0] = k->at[rng_below(dice, (uint64_t)k->count)];
        k->count = 1;
        return;
    }
    for (int n = 0; n < k->count; n++) {
        costs[n] = cost(k, k->at[n], s);
        best = costs[n] < best ? costs[n] : best;
    }
    for (int n = 0; n < k->count; n++) {
        if (costs[n] == best)
            k->at[kept++] = k->at[n];
    }
    k->count = kept;
}

static enum place_lack
walk(const struct core *core, const struct place_request *rq, struct rng *dice,
     struct container_instance **instance_out, struct container_instance **closest_out)
{
    enum place_lack best = rq->host_group != NULL ? LACK_PROVIDER_INSTANCES : LACK_INSTANCES;
    const struct placement_rules *rules =
        rq->rules != NULL && rq->rules->strategy_count > 0 ? rq->rules : placement_default();
    struct walk k = {.count = 0};

    *instance_out = *closest_out = NULL;
    for (struct container_instance *i = rq->cluster->instances; i != NULL; i = i->next_in_cluster) {
        const enum place_lack lack = place_is_of_provider(rq, i) ? place_lack(rq, i) : best;
        k.all[k.all_count] = i;
        for (const struct task *t = i->tasks; t != NULL; t = t->next_here)
            k.peers[k.all_count] += is_peer(rq, t);
        k.all_count++;
        if (lack == PLACE_FITS)
            k.at[k.count++] = i;
        else if (lack < best)
            best = lack, *closest_out = i;
    }
    if (k.count == 0)
        return best;
    *closest_out = NULL;
    for (int n = 0; n < rules->strategy_count && k.count > 1; n++)
        narrow(&k, &rules->strategies[n], dice);
    *instance_out = k.at[0];
    return PLACE_FITS;
}

/* ---- the world ---- */

static void
answer(struct world *w, const struct event *event)
{
    struct effects asked = {0};
    static const char digests[1][DIGEST_SIZE] = {"sha256:0"};

    core_step(w->core, event, w->now_ms += 1000, &asked);
    for (int i = 0; i < asked.count; i++) {
        const struct ef_image_resolve *r = &asked.at[i].image_resolve;
        if (asked.at[i].type == EFFECT_IMAGE_RESOLVE)
            answer(w, &(struct event){
                          .type = EVENT_IMAGE_RESOLVED,
                          .image_resolved = {r->service_arn, r->revision_arn, digests, 1, NULL}});
        if (asked.at[i].type == EFFECT_TASK_STOP && below(w, 3) > 0) {
            const struct task *t = core_task_by_arn(w->core, asked.at[i].task_stop.task_arn);
            if (t != NULL)
                answer(w,
                       &(struct event){.type = EVENT_TASK_STATE,
                                       .task_state = {.task_id = t->id, .status = TASK_STOPPED}});
        }
    }
    effects_done(&asked);
}

static struct json *
parse(const char *text)
{
    struct err err = {0};
    struct json *j = json_parse(str_of(text), &err);

    CHECK(j != NULL);
    return j;
}

static const char *
one_of(struct world *w, const char *const *texts, int count)
{
    return texts[below(w, count)];
}
#define ONE_OF(w, ...)                            \
    one_of(w, (const char *const[]){__VA_ARGS__}, \
           (int)ARRAY_COUNT(((const char *const[]){__VA_ARGS__})))

static void
report_host(struct world *w, int number)
{
    const int sizes[] = {0, 512, 1024, 2048};
    char name[16], text[400];
    cleanup_json struct json *doc = NULL;

    snprintf(name, sizeof(name), "host-%d", number);
    snprintf(text, sizeof(text), "{%s\"attributes\":[%s{\"name\":\"kind\",\"value\":\"%s\"}%s]}",
             ONE_OF(w, "", "\"gpus\":[\"g1\"],", "\"gpus\":[\"g1\",\"g2\"],"),
             ONE_OF(w, "{\"name\":\"ecs.availability-zone\",\"value\":\"a\"},",
                    "{\"name\":\"ecs.availability-zone\",\"value\":\"b\"},",
                    "{\"name\":\"ecs.availability-zone\",\"value\":\"c\"},", ""),
             ONE_OF(w, "small", "big"),
             ONE_OF(w, "", "", ",{\"name\":\"naru.auto-scaling-group\",\"value\":\"group\"}"));
    doc = parse(text);
    answer(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                              .instance_report = {name, below(w, 6) > 0, sizes[below(w, 4)],
                                                  sizes[below(w, 4)] * 2, doc}});
}

static void
make_cluster(struct world *w)
{
    char name[16];

    snprintf(name, sizeof(name), "c%d", w->clusters_made++);
    answer(w, &(struct event){.type = EVENT_CLUSTER_CREATE,
                              .cluster_create = {.region = REGION, .name = name}});
}

static void
make_definition(struct world *w, const char *port, const char *more, const char *constraints)
{
    char text[600], family[16];
    cleanup_json struct json *doc = NULL;

    snprintf(
        text, sizeof(text),
        "{\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"i\",\"portMappings\":"
        "[{\"containerPort\":80%s}]%s}],\"compatibilities\":[\"EC2\"],\"networkMode\":\"bridge\","
        "\"cpu\":\"200\",\"memory\":\"300\",\"placementConstraints\":[%s]}",
        port, more, constraints);
    doc = parse(text);
    snprintf(family, sizeof(family), "f%d", w->definition_count++);
    answer(w, &(struct event){
                  .type = EVENT_TASK_DEFINITION_REGISTER,
                  .task_definition_register = {.region = REGION, .family = family, .doc = doc}});
}

#define NEEDS_GPU ",\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"1\"}]"
#define IS_BIG "{\"type\":\"memberOf\",\"expression\":\"attribute:kind == big\"}"
#define IS_CALM \
    "{\"type\":\"memberOf\",\"expression\":\"runningTasksCount < 1 and attribute:kind exists\"}"
#define IS_APART "{\"type\":\"memberOf\",\"expression\":\"not(task:group == family:g1)\"}"
#define IS_DISTINCT "{\"type\":\"distinctInstance\"}"

static struct json *
random_constraints(struct world *w)
{
    char text[300];

    snprintf(text, sizeof(text), "[%s]",
             ONE_OF(w, "", "", IS_BIG, IS_CALM, IS_APART, IS_DISTINCT, IS_DISTINCT "," IS_BIG));
    return parse(text);
}

static struct json *
random_strategies(struct world *w)
{
    struct json *list = json_array();

    for (int n = below(w, 4); n > 0; n--) {
        const char *one =
            ONE_OF(w, "{\"type\":\"spread\",\"field\":\"attribute:ecs.availability-zone\"}",
                   "{\"type\":\"spread\",\"field\":\"attribute:kind\"}",
                   "{\"type\":\"spread\",\"field\":\"instanceId\"}",
                   "{\"type\":\"binpack\",\"field\":\"cpu\"}",
                   "{\"type\":\"binpack\",\"field\":\"memory\"}", "{\"type\":\"random\"}");
        json_append(list, parse(one));
        if (strstr(one, "random") != NULL)
            break; /* nothing is left to choose from */
    }
    return list;
}

static void
make_service(struct world *w, const struct cluster *c, int number)
{
    const struct deployment_config config = {.minimum_healthy_percent = 50, .maximum_percent = 200};
    struct json *doc = json_object();
    char name[16];

    snprintf(name, sizeof(name), "s%d", number);
    json_set(doc, "placementStrategy", random_strategies(w));
    json_set(doc, "placementConstraints", random_constraints(w));
    answer(w,
           &(struct event){.type = EVENT_SERVICE_CREATE,
                           .service_create = {.cluster_arn = c->arn,
                                              .name = name,
                                              .created_by = "test",
                                              .client_token = "",
                                              .desired_count = below(w, 15),
                                              .task_definition_arn = w->core->task_definitions->arn,
                                              .launch_type = LAUNCH_EC2,
                                              .config = &config,
                                              .doc = doc}});
    json_unref(doc);
}

static struct world *
world_new(uint64_t seed)
{
    const struct core_options options = {
        .account = "000000000000", .default_region = REGION, .seed = seed};
    struct world *w = mem_new(sizeof(*w));

    w->core = core_new(&options);
    w->now_ms = 1000000;
    rng_seed(&w->rng, seed);
    make_definition(w, ",\"hostPort\":80", "", "");
    make_definition(w, "", "", IS_BIG);
    make_definition(w, "", NEEDS_GPU, IS_APART);
    make_definition(w, "", "", "");
    make_cluster(w);
    w->host_count = 1 + below(w, HOSTS_MAX - 5);
    for (int i = 0; i < w->host_count; i++)
        report_host(w, i);
    make_cluster(w);
    for (int i = 0; i < SERVICES; i++)
        make_service(w, w->core->clusters, i);
    return w;
}

static void
world_free(struct world *w)
{
    core_free(w->core);
    free(w);
}

/* ---- the comparison ---- */

static struct task_definition *
random_definition(struct world *w)
{
    struct task_definition *td = w->core->task_definitions;

    for (int n = below(w, w->definition_count); n > 0; n--)
        td = td->next;
    return td;
}

/* Gives what was found. */
static enum place_lack
decide(struct world *w, const struct place_request *rq)
{
    struct container_instance *instance, *closest, *want_instance, *want_closest;
    struct rng dice = w->core->rng;
    const enum place_lack want = walk(w->core, rq, &dice, &want_instance, &want_closest);
    const enum place_lack got = place_find(w->core, rq, &instance, &closest);

    CHECK_EQ(got, want);
    CHECK(instance == want_instance);
    CHECK(closest == want_closest);
    CHECK(memcmp(&dice, &w->core->rng, sizeof(dice)) == 0);
    return got;
}

static enum place_lack
decide_something(struct world *w)
{
    const struct cluster *c = below(w, 2) == 0 || w->core->clusters->next == NULL
                                  ? w->core->clusters
                                  : w->core->clusters->next;
    const struct service *s = w->core->services;
    struct placement_rules rules = {.strategy_count = 0};
    cleanup_json struct json *strategies = random_strategies(w),
                             *constraints = random_constraints(w);
    char group[NAME_SIZE + 16];
    struct place_request rq = {.cluster = c,
                               .definition = random_definition(w),
                               .launch_type = LAUNCH_EC2,
                               .cpu = below(w, 4) * 150,
                               .memory_mib = below(w, 4) * 250,
                               .gpu_count = below(w, 3) == 0 ? 1 + below(w, 2) : 0,
                               .rules = &rules,
                               .host_group = below(w, 5) == 0 ? "group" : NULL,
                               .group = group};
    enum place_lack found;

    CHECK(placement_rules_read(strategies, constraints, &rules, NULL));
    snprintf(group, sizeof(group), "family:g%d", below(w, GROUPS));
    for (int n = below(w, SERVICES); n > 0 && s->next != NULL; n--)
        s = s->next;
    if (below(w, 2) == 0 && s != NULL && s->cluster == c) {
        rq.service = s;
        snprintf(group, sizeof(group), "service:%s", s->name);
    }
    found = decide(w, &rq);
    placement_rules_done(&rules);
    return found;
}

static void
run_a_task(struct world *w)
{
    struct placement_rules rules = {.strategy_count = 0};
    cleanup_json struct json *overrides =
        parse(ONE_OF(w, "{}", "{\"cpu\":\"100\"}", "{\"memory\":\"900\"}"));
    char group[16];

    snprintf(group, sizeof(group), "family:g%d", below(w, GROUPS));
    answer(w, &(struct event){.type = EVENT_TASK_RUN,
                              .task_run = {.cluster_arn = w->core->clusters->arn,
                                           .group = group,
                                           .rules = &rules,
                                           .task_definition_arn = random_definition(w)->arn,
                                           .count = 1 + below(w, 3),
                                           .launch_type = LAUNCH_EC2,
                                           .overrides = overrides}});
}

static void
end_a_task(struct world *w)
{
    struct task *t = w->core->tasks;

    for (int n = below(w, 30); n > 0 && t != NULL && t->next != NULL; n--)
        t = t->next;
    if (t != NULL)
        answer(w, &(struct event){
                      .type = EVENT_TASK_STATE,
                      .task_state = {.task_id = t->id,
                                     .status = below(w, 2) == 0 ? TASK_RUNNING : TASK_STOPPED}});
}

static void
change_an_instance(struct world *w)
{
    struct container_instance *i = w->core->instances;
    cleanup_json struct json *custom =
        parse(ONE_OF(w, "[]", "[{\"name\":\"kind\",\"value\":\"big\"}]"));

    for (int n = below(w, w->host_count); n > 0 && i->next != NULL; n--)
        i = i->next;
    if (below(w, 2) == 0)
        answer(w, &(struct event){.type = EVENT_INSTANCE_STATUS,
                                  .instance_status = {i->arn, below(w, 3) == 0 ? INSTANCE_DRAINING
                                                                               : INSTANCE_ACTIVE}});
    else
        answer(w, &(struct event){.type = EVENT_INSTANCE_ATTRIBUTES,
                                  .instance_attributes = {i->arn, custom}});
}

/* The second one, where nothing runs, goes and comes again. */
static void
change_a_cluster(struct world *w)
{
    const struct cluster *c = w->core->clusters->next;

    if (c != NULL && c->status == CLUSTER_ACTIVE)
        answer(w, &(struct event){.type = EVENT_CLUSTER_DELETE, .cluster_delete = {c->arn}});
    w->clusters_made = 1;
    make_cluster(w);
}

static void
change_something(struct world *w)
{
    switch (below(w, 10)) {
    case 0:
        report_host(w, below(w, w->host_count));
        break;
    case 1:
        change_an_instance(w);
        break;
    case 2:
        if (w->host_count < HOSTS_MAX)
            report_host(w, w->host_count++);
        break;
    case 3:
        change_a_cluster(w);
        break;
    case 4:
    case 5:
    case 6:
        run_a_task(w);
        break;
    default:
        end_a_task(w);
    }
}

TEST(the_index_chooses_as_a_walk_over_all_instances_does)
{
    int fits = 0, lacks[LACK_CAPACITY + 1] = {0};

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = world_new(seed);
        for (int n = 0; n < 150; n++) {
            enum place_lack found;
            change_something(w);
            found = decide_something(w);
            fits += found == PLACE_FITS;
            lacks[found]++;
        }
        world_free(w);
    }
    CHECK(fits > 1000);
    for (int lack = LACK_CPU; lack <= LACK_PROVIDER_INSTANCES; lack++) /* each of them was met */
        CHECK(lack == LACK_INSTANCES || lacks[lack] > 0);
}

/* More machines change between two decisions about a cluster than are noted one by one. */
TEST(a_cluster_that_nobody_asked_for_long_is_filed_anew)
{
    struct world *w = world_new(/* seed= */ 3);

    for (int n = 0; n < 20; n++)
        (void)decide_something(w);
    for (int n = 0; n < 6000; n++)
        report_host(w, below(w, w->host_count));
    for (int n = 0; n < 200; n++)
        (void)decide_something(w);
    world_free(w);
}
