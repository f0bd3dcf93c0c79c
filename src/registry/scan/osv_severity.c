/* SPDX-License-Identifier: MIT */
#include "registry/scan/osv_severity.h"

#include <math.h>

const char *
severity_name(enum osv_severity severity)
{
    static const char *const names[SEVERITY_COUNT] = {"UNDEFINED", "INFORMATIONAL", "LOW",
                                                      "MEDIUM",    "HIGH",          "CRITICAL"};
    return names[severity];
}

/* ---- vectors ---- */

struct metric {
    const char *name;
    const char *values; /* a letter each */
    double weights[4];
};
#define METRICS_MAX 8

/* Fills `weights` and `letters` in the rows' order. Metrics that are no rows are passed over. */
static bool
vector_read(struct str vector, const struct metric *rows, int count, double *weights, char *letters)
{
    struct str part;

    memset(letters, 0, METRICS_MAX);
    if (vector.len > 190)
        return false;
    while (str_split(&vector, '/', &part)) {
        const ptrdiff_t colon = str_index(part, ':');
        if (colon < 0)
            return false;
        const struct str name = str_slice(part, 0, (size_t)colon);
        const struct str value = str_slice(part, (size_t)colon + 1, part.len);
        for (int i = 0; i < count; i++) {
            if (!str_is(name, rows[i].name))
                continue;
            const char *at =
                value.len == 1 && value.at[0] != '\0' ? strchr(rows[i].values, value.at[0]) : NULL;
            if (at == NULL || letters[i] != 0)
                return false;
            letters[i] = value.at[0];
            weights[i] = rows[i].weights[at - rows[i].values];
        }
    }
    for (int i = 0; i < count; i++)
        if (letters[i] == 0)
            return false;
    return true;
}

/* The specification's own: up to one decimal, without what floating point adds. */
static double
round_up(double x)
{
    const long long hundred_thousandths = llround(x * 100000);

    if (hundred_thousandths % 10000 == 0)
        return (double)hundred_thousandths / 100000.0;
    return (double)(hundred_thousandths / 10000 + 1) / 10.0;
}

bool
cvss3_base_score(struct str vector, double *score_out)
{
    static const struct metric rows[METRICS_MAX] = {{"AV", "NALP", {0.85, 0.62, 0.55, 0.2}},
                                                    {"AC", "LH", {0.77, 0.44}},
                                                    {"PR", "NLH", {0.85, 0.62, 0.27}},
                                                    {"UI", "NR", {0.85, 0.62}},
                                                    {"S", "UC", {0, 1}},
                                                    {"C", "HLN", {0.56, 0.22, 0}},
                                                    {"I", "HLN", {0.56, 0.22, 0}},
                                                    {"A", "HLN", {0.56, 0.22, 0}}};
    double w[METRICS_MAX] = {0};
    char letters[METRICS_MAX];

    if (!str_starts(vector, STR("CVSS:3.0/")) && !str_starts(vector, STR("CVSS:3.1/")))
        return false;
    if (!vector_read(str_slice(vector, 9, vector.len), rows, METRICS_MAX, w, letters))
        return false;
    const bool changes = letters[4] == 'C';
    if (changes && letters[2] == 'L')
        w[2] = 0.68;
    if (changes && letters[2] == 'H')
        w[2] = 0.5;
    const double base = 1 - (1 - w[5]) * (1 - w[6]) * (1 - w[7]);
    const double impact =
        changes ? 7.52 * (base - 0.029) - 3.25 * pow(base - 0.02, 15) : 6.42 * base;
    const double exploitability = 8.22 * w[0] * w[1] * w[2] * w[3];
    if (impact <= 0)
        *score_out = 0;
    else
        *score_out = round_up(fmin((changes ? 1.08 : 1) * (impact + exploitability), 10));
    return true;
}

bool
cvss2_base_score(struct str vector, double *score_out)
{
    static const struct metric rows[] = {
        {"AV", "LAN", {0.395, 0.646, 1.0}}, {"AC", "HML", {0.35, 0.61, 0.71}},
        {"Au", "MSN", {0.45, 0.56, 0.704}}, {"C", "NPC", {0, 0.275, 0.660}},
        {"I", "NPC", {0, 0.275, 0.660}},    {"A", "NPC", {0, 0.275, 0.660}}};
    double w[METRICS_MAX] = {0};
    char letters[METRICS_MAX];

    if (!vector_read(vector, rows, (int)ARRAY_COUNT(rows), w, letters))
        return false;
    const double impact = 10.41 * (1 - (1 - w[3]) * (1 - w[4]) * (1 - w[5]));
    const double exploitability = 20 * w[0] * w[1] * w[2];
    const double raw = (0.6 * impact + 0.4 * exploitability - 1.5) * (impact > 0 ? 1.176 : 0);
    *score_out = (double)llround(raw * 10) / 10.0;
    return true;
}

/* ---- ratings ---- */

static enum osv_severity
severity_of_score(double score)
{
    return score >= 9   ? SEVERITY_CRITICAL
           : score >= 7 ? SEVERITY_HIGH
           : score >= 4 ? SEVERITY_MEDIUM
           : score > 0  ? SEVERITY_LOW
                        : SEVERITY_INFORMATIONAL;
}

static enum osv_severity
severity_of_word(const char *word)
{
    static const struct {
        const char *word;
        enum osv_severity severity;
    } rows[] = {{"CRITICAL", SEVERITY_CRITICAL},        {"HIGH", SEVERITY_HIGH},
                {"IMPORTANT", SEVERITY_HIGH},           {"MEDIUM", SEVERITY_MEDIUM},
                {"MODERATE", SEVERITY_MEDIUM},          {"LOW", SEVERITY_LOW},
                {"NEGLIGIBLE", SEVERITY_INFORMATIONAL}, {"UNIMPORTANT", SEVERITY_INFORMATIONAL},
                {"NONE", SEVERITY_INFORMATIONAL}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_equal_nocase(str_of(word), str_of(rows[i].word)))
            return rows[i].severity;
    return SEVERITY_UNDEFINED;
}

/* Takes a better kind of statement over a worse one, and the higher of two of one kind. */
static void
rate_by_vector(const struct json *one, int *kind, struct osv_rating *out)
{
    const char *type = json_get_cstr(one, "type", "");
    const struct str vector = str_of(json_get_cstr(one, "score", ""));
    static const struct {
        const char *type;
        bool (*score)(struct str vector, double *score_out);
    } kinds[] = {{"", NULL},
                 {"CVSS_V2", cvss2_base_score},
                 {"CVSS_V4", cvss4_score},
                 {"CVSS_V3", cvss3_base_score}}; /* the best last */
    int found = 0;
    double score = 0;

    for (int i = 1; i < (int)ARRAY_COUNT(kinds); i++)
        if (strcmp(type, kinds[i].type) == 0)
            found = i;
    if (found == 0 || found < *kind || !kinds[found].score(vector, &score) ||
        (found == *kind && score <= out->score) ||
        !text_copy(out->vector, sizeof out->vector, vector))
        return;
    *kind = found;
    out->score = score;
    out->severity = severity_of_score(score);
}

/* What the first of these says: the record itself, the distribution's own member, its affected. */
static enum osv_severity
severity_in_words(const struct json *record)
{
    const struct json *list = json_get(record, "severity");
    enum osv_severity s =
        severity_of_word(json_get_cstr(json_get(record, "database_specific"), "severity", ""));

    for (size_t i = 0; s == SEVERITY_UNDEFINED && i < json_size(list); i++)
        s = severity_of_word(json_get_cstr(json_at(list, i), "score", ""));
    list = json_get(record, "affected");
    for (size_t i = 0; s == SEVERITY_UNDEFINED && i < json_size(list); i++) {
        const struct json *own = json_get(json_at(list, i), "ecosystem_specific");
        s = severity_of_word(json_get_cstr(own, "severity", json_get_cstr(own, "urgency", "")));
    }
    return s;
}

void
osv_rate(const struct json *record, struct osv_rating *out)
{
    const struct json *list = json_get(record, "severity");
    int kind = 0;

    *out = (struct osv_rating){0};
    for (size_t i = 0; i < json_size(list); i++)
        rate_by_vector(json_at(list, i), &kind, out);
    const struct json *affected = json_get(record, "affected");
    for (size_t i = 0; kind == 0 && i < json_size(affected); i++) {
        const struct json *own = json_get(json_at(affected, i), "severity");
        for (size_t k = 0; k < json_size(own); k++)
            rate_by_vector(json_at(own, k), &kind, out);
    }
    if (kind == 0)
        out->severity = severity_in_words(record);
}
