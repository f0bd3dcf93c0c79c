/* SPDX-License-Identifier: MIT */
#include "model/placement_rules.h"

static bool
read_spread(struct str field, struct placement_strategy *s, struct err *err)
{
    static const struct str attribute = {"attribute:", 10};
    struct str name = field;

    if (str_equal_nocase(field, STR("instanceId")) || str_equal_nocase(field, STR("host"))) {
        s->kind = SPREAD_INSTANCE;
        return true;
    }
    if (str_equal_nocase(str_slice(field, 0, attribute.len), attribute))
        name = str_slice(field, attribute.len, field.len);
    else if (!str_starts(field, STR("ecs.")))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid field '" STR_FMT "' of the placement strategy spread: instanceId, host or "
                       "attribute:NAME.",
                       STR_ARG(str_slice(field, 0, 150)));
    s->kind = SPREAD_ATTRIBUTE;
    if (name.len == 0 || !text_copy(s->attribute, sizeof(s->attribute), name))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The attribute of a placement strategy has 1 to %d characters.", ATTRIBUTE_NAME_MAX);
    return true;
}

static bool
read_strategy(const struct json *o, struct placement_strategy *s, struct err *err)
{
    const struct str type = str_of(json_get_cstr(o, "type", ""));
    const struct str field = str_of(json_get_cstr(o, "field", ""));

    if (str_equal_nocase(type, STR("random"))) {
        s->kind = RANDOM;
        return field.len == 0 || err_set(err, ERR_INVALID_PARAMETER,
                                         "The placement strategy random takes no field.");
    }
    if (str_equal_nocase(type, STR("spread")))
        return read_spread(field, s, err);
    if (!str_equal_nocase(type, STR("binpack")))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The type of a placement strategy is random, spread or binpack.");
    if (!str_equal_nocase(field, STR("cpu")) && !str_equal_nocase(field, STR("memory")))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid field '" STR_FMT "' of the placement strategy binpack: cpu or memory.",
                       STR_ARG(str_slice(field, 0, 150)));
    s->kind = str_equal_nocase(field, STR("cpu")) ? BINPACK_CPU : BINPACK_MEMORY;
    return true;
}

static bool
read_constraint(const struct json *o, struct placement_rules *r, struct err *err)
{
    const char *type = json_get_cstr(o, "type", "");
    const char *expression = json_get_cstr(o, "expression", "");

    if (strcmp(type, "distinctInstance") == 0) {
        r->is_distinct = true;
        return expression[0] == '\0' || err_set(err, ERR_INVALID_PARAMETER,
                                                "The constraint distinctInstance takes no expression.");
    }
    if (strcmp(type, "memberOf") != 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The type of a placement constraint is distinctInstance or memberOf.");
    r->members[r->member_count] = cluster_query_parse(str_of(expression), err);
    if (r->members[r->member_count] == NULL)
        return err_context(err, "Invalid expression");
    r->member_count++;
    return true;
}

static bool
read_all(const struct json *strategies, const struct json *constraints, struct placement_rules *r,
         struct err *err)
{
    if (json_size(strategies) > STRATEGIES_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "placementStrategy can have at most %d items.",
                       STRATEGIES_MAX);
    if (json_size(constraints) > CONSTRAINTS_MAX)
        return err_set(err, ERR_INVALID_PARAMETER, "placementConstraints can have at most %d items.",
                       CONSTRAINTS_MAX);
    for (size_t i = 0; i < json_size(strategies); i++) {
        if (!read_strategy(json_at(strategies, i), &r->strategies[i], err))
            return false;
        r->strategy_count++;
    }
    for (size_t i = 0; i < json_size(constraints); i++) {
        if (!read_constraint(json_at(constraints, i), r, err))
            return false;
    }
    return true;
}

bool
placement_rules_read(const struct json *strategies, const struct json *constraints,
                     struct placement_rules *out, struct err *err)
{
    *out = (struct placement_rules){0};
    if (read_all(strategies, constraints, out, err))
        return true;
    placement_rules_done(out);
    return false;
}

void
placement_rules_done(struct placement_rules *rules)
{
    for (int i = 0; i < rules->member_count; i++)
        cluster_query_free(rules->members[i]);
    *rules = (struct placement_rules){0};
}

const struct placement_rules *
placement_default(void)
{
    static const struct placement_rules rules = {
        .strategies = {{.kind = SPREAD_ATTRIBUTE, .attribute = ZONE_ATTRIBUTE},
                       {.kind = SPREAD_INSTANCE}},
        .strategy_count = 2,
    };

    return &rules;
}
