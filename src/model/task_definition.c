/* SPDX-License-Identifier: MIT */
#include "model/task_definition.h"
#include <assert.h>
#include "model/row.h"
#include "model/task.h"

static const struct row_field row_fields[] = {
    TEXT_FIELD(struct task_definition, region),
    ENUM_FIELD(struct task_definition, status, task_definition_status),
    I64_FIELD(struct task_definition, registered_at_ms),
    I64_FIELD(struct task_definition, deregistered_at_ms),
    I64_FIELD(struct task_definition, delete_requested_at_ms),
    JSON_FIELD(struct task_definition, doc),
    JSON_FIELD(struct task_definition, tags),
    FIELDS_END,
};

/* A member that the API gives as text ("256"), or as a number in older documents. */
static int
number_of(const struct json *doc, const char *key)
{
    const struct json *value = json_get(doc, key);
    int64_t n = 0;

    if (json_type(value) != JSON_TEXT)
        n = json_i64(value, 0);
    else if (!str_to_i64(str_of(json_cstr(value, "")), &n))
        n = 0;
    return n > 0 && n < INT32_MAX ? (int)n : 0;
}

static int
first_set(int a, int b, int64_t c)
{
    return a > 0 ? a : b > 0 ? b : c < INT32_MAX ? (int)c : INT32_MAX;
}

static bool
read_port(struct str text, int *out)
{
    int64_t n;

    /* Only as we would write it: the answers show the range again. */
    if (text.len == 0 || text.at[0] < '1' || text.at[0] > '9' || !str_to_i64(text, &n) || n > 65535)
        return false;
    *out = (int)n;
    return true;
}

bool
port_range_parse(const char *text, int *first_out, int *last_out)
{
    struct str rest = str_of(text), part = {0};
    int first, last;

    if (!str_split(&rest, '-', &part) || !read_port(part, &first) || !read_port(rest, &last) ||
        first >= last)
        return false;
    *first_out = first;
    *last_out = last;
    return true;
}

static void
read_ports(struct container_definition *c, const struct json *mappings)
{
    const size_t count = json_size(mappings);

    assert(count <= PORTS_MAX);
    if (count == 0)
        return;
    c->ports = mem_new(count * sizeof(*c->ports));
    for (size_t i = 0; i < count; i++) {
        const struct json *m = json_at(mappings, i);
        struct port_mapping *p = &c->ports[c->port_count];
        p->container_port = (int)json_get_i64(m, "containerPort", 0);
        p->host_port = (int)json_get_i64(m, "hostPort", 0);
        p->is_udp = strcmp(json_get_cstr(m, "protocol", "tcp"), "udp") == 0;
        if (p->container_port != 0) /* a containerPortRange reserves nothing on the host */
            c->port_count++;
    }
}

static void
read_container(struct container_definition *c, const struct json *doc)
{
    text_copy_all(c->name, sizeof(c->name), json_get_cstr(doc, "name", ""));
    text_copy_all(c->image, sizeof(c->image), json_get_cstr(doc, "image", ""));
    assert(c->name[0] != '\0');
    c->essential = json_get_bool(doc, "essential", true);
    c->has_health_check = json_get(doc, "healthCheck") != NULL;
    c->pins_digest = strcmp(json_get_cstr(doc, "versionConsistency", "enabled"), "disabled") != 0;
    c->stop_timeout_s = (int)json_get_i64(doc, "stopTimeout", 30);
    c->gpu_count = task_definition_gpus(doc);
    read_ports(c, json_get(doc, "portMappings"));
}

/* Its own, else the container's. */
static int
effective(const struct json *override, const struct json *container, const char *key)
{
    return json_get(override, key) != NULL ? number_of(override, key) : number_of(container, key);
}

static void
read_size(const struct json *doc, const struct json *overrides, int *cpu_out, int *memory_mib_out)
{
    const struct json *containers = json_get(doc, "containerDefinitions");
    int64_t cpu = 0, memory_mib = 0;

    for (size_t i = 0; i < json_size(containers); i++) {
        const struct json *c = json_at(containers, i);
        const struct json *override =
            task_container_override(overrides, json_get_cstr(c, "name", ""));
        cpu += effective(override, c, "cpu");
        memory_mib += first_set(effective(override, c, "memoryReservation"),
                                effective(override, c, "memory"), 0);
    }
    *cpu_out = first_set(number_of(overrides, "cpu"), number_of(doc, "cpu"), cpu);
    *memory_mib_out =
        first_set(number_of(overrides, "memory"), number_of(doc, "memory"), memory_mib);
}

void
task_definition_size(const struct task_definition *td, const struct json *overrides, int *cpu_out,
                     int *memory_mib_out)
{
    *cpu_out = td->cpu;
    *memory_mib_out = td->memory_mib;
    if (overrides != NULL)
        read_size(td->doc, overrides, cpu_out, memory_mib_out);
}

static void
read_doc(struct task_definition *td)
{
    const struct json *containers = json_get(td->doc, "containerDefinitions");
    const struct json *fits = json_get(td->doc, "compatibilities");

    text_copy_all(td->arn, sizeof(td->arn), json_get_cstr(td->doc, "taskDefinitionArn", ""));
    text_copy_all(td->family, sizeof(td->family), json_get_cstr(td->doc, "family", ""));
    td->revision = (int)json_get_i64(td->doc, "revision", 0);
    if (!network_mode_parse(str_of(json_get_cstr(td->doc, "networkMode", "bridge")),
                            &td->network_mode))
        assert(false && "the door accepted an unknown networkMode");
    for (size_t i = 0; i < json_size(fits); i++) {
        const struct str name = str_of(json_cstr(json_at(fits, i), ""));
        td->fits_ec2 |= str_is(name, "EC2");
        td->fits_fargate |= str_is(name, "FARGATE");
    }
    assert(json_size(containers) >= 1 && json_size(containers) <= CONTAINERS_MAX);
    td->container_count = (int)json_size(containers);
    for (int i = 0; i < td->container_count; i++)
        read_container(&td->containers[i], json_at(containers, (size_t)i));
    for (int i = 0; i < td->container_count; i++)
        td->gpu_count += td->containers[i].gpu_count;
    read_size(td->doc, /* overrides= */ NULL, &td->cpu, &td->memory_mib);
    /* The door checked them; those of a damaged row bind nothing. */
    (void)placement_rules_read(/* strategies= */ NULL, json_get(td->doc, "placementConstraints"),
                               &td->rules, /* err= */ NULL);
}

struct task_definition *
task_definition_new(const char *region, const struct json *doc, const struct json *tags)
{
    struct task_definition *td = mem_new(sizeof(*td));

    text_copy_all(td->region, sizeof(td->region), region);
    td->status = TASK_DEFINITION_ACTIVE;
    td->doc = json_ref(doc);
    td->tags = tags == NULL ? NULL : json_ref(tags);
    read_doc(td);
    return td;
}

void
task_definition_free(struct task_definition *td)
{
    if (td == NULL)
        return;
    for (int i = 0; i < td->container_count; i++)
        free(td->containers[i].ports);
    placement_rules_done(&td->rules);
    row_free_documents(row_fields, td);
    free(td);
}

const struct container_definition *
task_definition_container(const struct task_definition *td, const char *name)
{
    for (int i = 0; i < td->container_count; i++) {
        if (strcmp(td->containers[i].name, name) == 0)
            return &td->containers[i];
    }
    return NULL;
}

int
task_definition_gpus(const struct json *container)
{
    const struct json *list = json_get(container, "resourceRequirements");
    int64_t n;

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *r = json_at(list, i);
        if (strcmp(json_get_cstr(r, "type", ""), "GPU") == 0 &&
            str_to_i64(str_of(json_get_cstr(r, "value", "")), &n) && n >= 1)
            return (int)(n < GPU_COUNT_MAX ? n : GPU_COUNT_MAX);
    }
    return 0;
}

bool
task_definition_has_health_check(const struct task_definition *td)
{
    for (int i = 0; i < td->container_count; i++) {
        if (td->containers[i].essential && td->containers[i].has_health_check)
            return true;
    }
    return false;
}

struct json *
task_definition_encode(const struct task_definition *td)
{
    return row_encode(row_fields, td);
}

/* task_definition_new() asserts, since the door checked; a row comes from a disk. */
static bool
doc_is_sound(const struct json *doc, struct err *err)
{
    const struct json *containers = json_get(doc, "containerDefinitions");
    enum network_mode mode;

    if (json_size(containers) < 1 || json_size(containers) > CONTAINERS_MAX)
        return err_set(err, ERR_INTERNAL, "a stored task definition has %zu containers",
                       json_size(containers));
    if (strlen(json_get_cstr(doc, "taskDefinitionArn", "")) >= ARN_SIZE ||
        strlen(json_get_cstr(doc, "family", "")) >= NAME_SIZE ||
        !network_mode_parse(str_of(json_get_cstr(doc, "networkMode", "bridge")), &mode))
        return err_set(err, ERR_INTERNAL, "a stored task definition is damaged");
    for (size_t i = 0; i < json_size(containers); i++) {
        const struct json *c = json_at(containers, i);
        const size_t name_len = strlen(json_get_cstr(c, "name", ""));
        if (name_len == 0 || name_len >= NAME_SIZE ||
            strlen(json_get_cstr(c, "image", "")) >= IMAGE_SIZE ||
            json_size(json_get(c, "portMappings")) > PORTS_MAX)
            return err_set(err, ERR_INTERNAL, "a stored container definition is damaged");
    }
    return true;
}

struct task_definition *
task_definition_decode(const struct json *row, struct err *err)
{
    struct task_definition *td = row_decode_new(row_fields, row, sizeof(*td), err);

    if (td == NULL)
        return NULL;
    if (!doc_is_sound(td->doc, err)) {
        task_definition_free(td);
        return NULL;
    }
    read_doc(td);
    return td;
}
