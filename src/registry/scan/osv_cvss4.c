/* SPDX-License-Identifier: MIT */
/* osv_cvss4.c - the score of a CVSS 4.0 vector, as the specification's chapter 8 reckons it:
 * metrics fall into six groups ("EQ"), the groups' levels choose a score of a table, and how far
 * the vector is from the worst one of its levels takes away a part of what is left to the next
 * lower levels. */
#include <math.h>

#include "registry/scan/osv_severity.h"

#define VECTOR_MAX 190
#define NONE (-1)

enum metric { AV, PR, UI, AC, AT, VC, VI, VA, CR, IR, AR, SC, SI, SA, E, METRICS };

static const struct {
    const char *name;
    const char *letters; /* the worst first */
    bool is_optional;    /* not given: the worst */
} rows[METRICS] = {
    [AV] = {"AV", "NALP", false}, [PR] = {"PR", "NLH", false},  [UI] = {"UI", "NPA", false},
    [AC] = {"AC", "LH", false},   [AT] = {"AT", "NP", false},   [VC] = {"VC", "HLN", false},
    [VI] = {"VI", "HLN", false},  [VA] = {"VA", "HLN", false},  [CR] = {"CR", "HML", true},
    [IR] = {"IR", "HML", true},   [AR] = {"AR", "HML", true},   [SC] = {"SC", "SHLN", false},
    [SI] = {"SI", "SHLN", false}, [SA] = {"SA", "SHLN", false}, [E] = {"E", "APU", true},
};

/* Places in `letters`, for comparisons below. */
enum { SAFETY = 0, HIGH_OF_SUBSEQUENT = 1, NO_IMPACT = 2, NO_SUBSEQUENT = 3 };

/* ---- reading ---- */

static int
row_of(struct str name)
{
    for (int i = 0; i < METRICS; i++)
        if (str_is(name, rows[i].name))
            return i;
    return NONE;
}

/* "X" (not defined) leaves `*level` alone. */
static bool
level_read(int row, struct str value, bool is_modified, int *level)
{
    const bool may_be_unset = is_modified || rows[row].is_optional;

    if (value.len != 1 || *level != NONE)
        return false;
    if (value.at[0] == 'X')
        return may_be_unset;
    const char *at = value.at[0] != '\0' ? strchr(rows[row].letters, value.at[0]) : NULL;
    /* Safety is a matter of the environment, and of integrity and availability. */
    if (at == NULL || (value.at[0] == 'S' && (!is_modified || row == SC)))
        return false;
    *level = (int)(at - rows[row].letters);
    return true;
}

static bool
vector_read(struct str vector, int *levels)
{
    int modified[METRICS];
    struct str part, name;

    for (int i = 0; i < METRICS; i++)
        levels[i] = modified[i] = NONE;
    while (str_split(&vector, '/', &part)) {
        struct str value = part;
        if (!str_split(&value, ':', &name) || value.at == NULL)
            return false;
        const bool is_modified = name.len == 3 && name.at[0] == 'M';
        const int row = row_of(is_modified ? str_slice(name, 1, 3) : name);
        if (row != NONE &&
            !level_read(row, value, is_modified, is_modified ? &modified[row] : &levels[row]))
            return false;
    }
    for (int i = 0; i < METRICS; i++) {
        if (levels[i] == NONE && !rows[i].is_optional)
            return false;
        if (modified[i] != NONE)
            levels[i] = modified[i];
        else if (levels[i] == NONE)
            levels[i] = 0;
    }
    return true;
}

/* ---- levels of the groups ---- */

struct macro {
    int eq1, eq2, eq3, eq4, eq5, eq6;
};

static struct macro
macro_of(const int *v)
{
    const bool worst_way_in = v[AV] == 0 && v[PR] == 0 && v[UI] == 0;
    const bool one_way_in = v[AV] == 0 || v[PR] == 0 || v[UI] == 0;
    const bool is_physical = v[AV] == 3;
    const bool high = v[VC] == 0 || v[VI] == 0 || v[VA] == 0;
    const bool safety = v[SI] == SAFETY || v[SA] == SAFETY;
    const bool high_beyond =
        v[SC] == HIGH_OF_SUBSEQUENT || v[SI] == HIGH_OF_SUBSEQUENT || v[SA] == HIGH_OF_SUBSEQUENT;
    const bool required =
        (v[CR] == 0 && v[VC] == 0) || (v[IR] == 0 && v[VI] == 0) || (v[AR] == 0 && v[VA] == 0);

    return (struct macro){
        .eq1 = worst_way_in                 ? 0
               : one_way_in && !is_physical ? 1
                                            : 2,
        .eq2 = v[AC] == 0 && v[AT] == 0 ? 0 : 1,
        .eq3 = v[VC] == 0 && v[VI] == 0 ? 0
               : high                   ? 1
                                        : 2,
        .eq4 = safety        ? 0
               : high_beyond ? 1
                             : 2,
        .eq5 = v[E],
        .eq6 = required ? 0 : 1,
    };
}

/* Ten times the score of [eq1][eq2]: of eq3 0 and 1 by eq4, eq5, eq6; of eq3 2, which has eq6 1
 * only, by eq4 and eq5. */
static const unsigned char scores[3][2][45] = {
    {{100, 99, 98, 95, 95, 92, 100, 96, 93, 87, 91, 81, 93, 90, 89, 80, 81, 68, 98, 95, 95, 92, 90,
      84,  93, 92, 89, 81, 81, 65,  88, 80, 78, 70, 69, 48, 92, 82, 72, 79, 69, 50, 69, 55, 27},
     {99, 97, 95, 92, 92, 85, 95, 91, 90, 83, 84, 71, 92, 81, 82, 71, 72, 53, 95, 93, 92, 85, 85,
      73, 92, 82, 80, 72, 70, 59, 84, 70, 71, 52, 50, 30, 86, 75, 52, 71, 52, 29, 63, 29, 17}},
    {{98, 95, 94, 87, 91, 81, 94, 89, 86, 74, 77, 64, 87, 75, 74, 63, 63, 49, 94, 89, 88, 77, 76,
      67, 86, 76, 74, 58, 59, 50, 72, 57, 57, 52, 52, 25, 83, 70, 54, 65, 58, 26, 53, 21, 13},
     {95, 90, 88, 76, 76, 70, 90, 77, 75, 62, 61, 53, 77, 66, 68, 59, 52, 30, 89, 78, 76, 67, 62,
      58, 74, 59, 57, 57, 47, 23, 61, 52, 57, 29, 24, 16, 71, 59, 30, 58, 26, 15, 23, 13, 6}},
    {{93, 87, 86, 72, 75, 58, 86, 74, 74, 61, 56, 34, 70, 54, 52, 40, 40, 22, 85, 75, 74, 55, 62,
      51, 72, 57, 55, 41, 46, 19, 53, 36, 34, 19, 19, 8,  64, 51, 20, 47, 21, 11, 24, 9,  4},
     {88, 75, 73, 53, 60, 50, 73, 55, 59, 40, 41, 20, 54, 43, 45, 22, 20, 11, 75, 55, 58, 45, 40,
      21, 61, 51, 48, 18, 20, 9,  46, 18, 17, 7,  8,  2,  53, 24, 14, 24, 12, 5,  10, 3,  1}},
};

/* Ten times the score; NONE: there are no such levels. */
static int
score_of(struct macro m)
{
    if (m.eq1 > 2 || m.eq2 > 1 || m.eq3 > 2 || m.eq4 > 2 || m.eq5 > 2 || m.eq6 > 1 ||
        (m.eq3 == 2 && m.eq6 == 0))
        return NONE;
    const int i = m.eq3 == 2 ? 36 + m.eq4 * 3 + m.eq5 : m.eq3 * 18 + m.eq4 * 6 + m.eq5 * 2 + m.eq6;
    return scores[m.eq1][m.eq2][i];
}

/* ---- how far from the worst ---- */

#define WORST_MAX 5
#define GROUP_MAX 6

/* The worst vectors of a group's level, as levels of its metrics. */
struct group {
    int first, count; /* metrics */
    int depth;        /* steps from the worst to the best */
    int worst_count;
    int worst[WORST_MAX][GROUP_MAX];
};

static const struct group eq1[] = {
    {AV, 3, 1, 1, {{0, 0, 0}}},
    {AV, 3, 4, 3, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
    {AV, 3, 5, 2, {{3, 0, 0}, {1, 1, 1}}},
};
static const struct group eq2[] = {{AC, 2, 1, 1, {{0, 0}}}, {AC, 2, 2, 2, {{1, 0}, {0, 1}}}};
static const struct group eq3eq6[3][2] = {
    {{VC, 6, 7, 1, {{0, 0, 0, 0, 0, 0}}}, {VC, 6, 6, 2, {{0, 0, 1, 1, 1, 0}, {0, 0, 0, 1, 1, 1}}}},
    {{VC, 6, 8, 2, {{1, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0}}},
     {VC,
      6,
      8,
      5,
      {{1, 0, 1, 0, 1, 0},
       {1, 0, 0, 0, 1, 1},
       {0, 1, 0, 1, 0, 1},
       {0, 1, 1, 1, 0, 0},
       {1, 1, 0, 0, 0, 1}}}},
    {{0}, {VC, 6, 10, 1, {{1, 1, 1, 0, 0, 0}}}},
};
static const struct group eq4[] = {
    {SC, 3, 6, 1, {{1, 0, 0}}}, {SC, 3, 5, 1, {{1, 1, 1}}}, {SC, 3, 4, 1, {{2, 2, 2}}}};

/* Steps from the first worst vector that is nowhere better than this one. */
static int
distance(const struct group *g, const int *v)
{
    for (int w = 0; w < g->worst_count; w++) {
        int steps = 0;
        bool is_below = true;
        for (int i = 0; i < g->count; i++) {
            const int step = v[g->first + i] - g->worst[w][i];
            is_below = is_below && step >= 0;
            steps += step;
        }
        if (is_below)
            return steps;
    }
    return 0;
}

struct sum {
    int score;
    double lost;
    int count;
};

static void
sum_add(struct sum *s, int next, const struct group *g, const int *v)
{
    if (next == NONE || next > s->score)
        return;
    s->count++;
    if (g != NULL)
        s->lost += (double)(s->score - next) * distance(g, v) / g->depth;
}

static int
next_of_eq3eq6(struct macro m)
{
    struct macro of_eq3 = m, of_eq6 = m;

    of_eq3.eq3++;
    of_eq6.eq6++;
    const int a = score_of(of_eq3), b = score_of(of_eq6);
    return m.eq6 == 1 ? a : m.eq3 == 1 ? b : a > b ? a : b;
}

static double
score_reckon(const int *v)
{
    const struct macro m = macro_of(v);
    struct macro one = m, two = m, four = m, five = m;
    struct sum s = {.score = score_of(m)};

    one.eq1++, two.eq2++, four.eq4++, five.eq5++;
    sum_add(&s, score_of(one), &eq1[m.eq1], v);
    sum_add(&s, score_of(two), &eq2[m.eq2], v);
    sum_add(&s, next_of_eq3eq6(m), &eq3eq6[m.eq3][m.eq6], v);
    sum_add(&s, score_of(four), &eq4[m.eq4], v);
    sum_add(&s, score_of(five), NULL, v);
    const double score = s.score - (s.count > 0 ? s.lost / s.count : 0);
    return (double)llround(fmax(score, 0) + 1e-6) /
           10.0; /* half up, whatever floating point adds */
}

bool
cvss4_score(struct str vector, double *score_out)
{
    int v[METRICS];

    if (!str_starts(vector, STR("CVSS:4.0/")) || vector.len > VECTOR_MAX ||
        !vector_read(str_slice(vector, 9, vector.len), v))
        return false;
    const bool harms = v[VC] != NO_IMPACT || v[VI] != NO_IMPACT || v[VA] != NO_IMPACT ||
                       v[SC] != NO_SUBSEQUENT || v[SI] != NO_SUBSEQUENT || v[SA] != NO_SUBSEQUENT;
    *score_out = harms ? score_reckon(v) : 0;
    return true;
}
