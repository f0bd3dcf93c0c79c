/* SPDX-License-Identifier: MIT */
/* shrink.c - makes the story of a failing seed short.
 * A world is run again and again with less in it: without a kind of fault, with fewer services, without
 * some of the operators' acts.  Whatever can go while the same promise still breaks goes, until nothing
 * more can.  What is cut is drawn all the same, so that the rest stays as it was; where it does not (a
 * fault that did not strike changes what follows), only the verdict counts. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "world.h"

static const char *const fault_names[] = {
#define X(name, most) #name,
    FAULTS(X)
#undef X
};

/* What a world said, from the process in which it ran. */
struct outcome {
    bool has_failed;
    char failure[512];
    uint64_t steps;
    int acts;
};

static void
run_here(uint64_t seed, const struct cut *cut, bool traces, struct outcome *out)
{
    struct world *w = world_new(seed, cut, traces);

    out->has_failed = !world_run(w);
    out->steps = w->steps;
    out->acts = w->acts;
    snprintf(out->failure, sizeof(out->failure), "%s", w->failure);
    fflush(stdout);
    world_free(w);
}

static struct outcome
run_apart(uint64_t seed, const struct cut *cut, bool traces)
{
    struct outcome *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct outcome result;
    int status = 0;
    pid_t pid;

    if (shared == MAP_FAILED || (pid = fork()) < 0) {
        perror("naru-sim");
        exit(2);
    }
    if (pid == 0) {
        if (!traces && freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        run_here(seed, cut, traces, shared);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
        shared->has_failed = true; /* an invariant of the core asserted */
        snprintf(shared->failure, sizeof(shared->failure), "aborted: an invariant of the core");
        shared->acts = ACTS_MAX;
    }
    result = *shared;
    munmap(shared, sizeof(*shared));
    return result;
}

/* "promise 2: ..." and "promise 1: ..." are two bugs: the one that is looked for is kept. */
static bool
is_same_failure(const struct outcome *a, const struct outcome *b)
{
    const size_t len = strcspn(a->failure, ":");

    return b->has_failed && strncmp(a->failure, b->failure, len) == 0;
}

struct search {
    uint64_t seed;
    struct cut best;
    struct outcome outcome;
    int runs;
};

static bool
try_cut(struct search *s, const struct cut *smaller)
{
    const struct outcome out = run_apart(s->seed, smaller, false);

    s->runs++;
    /* Less in it, and yet longer: what was drawn went another way. */
    if (!is_same_failure(&s->outcome, &out) || out.steps > s->outcome.steps + s->outcome.steps / 8)
        return false;
    s->best = *smaller;
    s->outcome = out;
    return true;
}

static bool
cut_faults(struct search *s)
{
    bool any = false;

    for (int i = 0; i < FAULT_KINDS; i++) {
        struct cut smaller = s->best;
        if ((smaller.without >> i & 1) != 0)
            continue;
        smaller.without |= 1U << i;
        any |= try_cut(s, &smaller);
    }
    return any;
}

static bool
cut_services(struct search *s)
{
    const int now = s->best.services_max == 0 ? SERVICES_MAX : s->best.services_max;

    for (int n = 1; n < now; n++) {
        struct cut smaller = s->best;
        smaller.services_max = n;
        if (try_cut(s, &smaller))
            return true;
    }
    return false;
}

/* Leaves out runs of `size` acts; halves of all first, single ones in the end. */
static bool
cut_acts(struct search *s)
{
    bool any = false;
    int kept[ACTS_MAX], count;

    if (!s->best.has_acts) {
        s->best.has_acts = true;
        for (int i = 0; i < ACTS_MAX; i++)
            s->best.acts[i] = i < s->outcome.acts;
    }
    for (int size = ACTS_MAX / 2; size >= 1; size /= 2) {
        count = 0;
        for (int i = 0; i < ACTS_MAX; i++) {
            if (s->best.acts[i])
                kept[count++] = i;
        }
        for (int from = 0; from < count; from += size) {
            struct cut smaller = s->best;
            for (int i = from; i < from + size && i < count; i++)
                smaller.acts[kept[i]] = false;
            any |= try_cut(s, &smaller);
        }
    }
    return any;
}

static void
show_cut(uint64_t seed, const struct cut *cut)
{
    const char *separator = " --without ";

    printf("naru-sim --first %llu --seeds 1 --trace", (unsigned long long)seed);
    for (int i = 0; i < FAULT_KINDS; i++) {
        if ((cut->without >> i & 1) == 0)
            continue;
        printf("%s%s", separator, fault_names[i]);
        separator = ",";
    }
    if (cut->services_max > 0)
        printf(" --services %d", cut->services_max);
    separator = " --acts ";
    for (int i = 0; cut->has_acts && i < ACTS_MAX; i++) {
        if (!cut->acts[i])
            continue;
        printf("%s%d", separator, i);
        separator = ",";
    }
    if (cut->has_acts && strcmp(separator, ",") != 0)
        printf(" --acts none");
    printf("\n");
}

int
shrink(uint64_t seed, const struct cut *cut)
{
    struct search s = {.seed = seed, .best = *cut};
    uint64_t before;

    s.outcome = run_apart(seed, cut, false);
    if (!s.outcome.has_failed) {
        printf("seed %llu keeps its promises\n", (unsigned long long)seed);
        return 0;
    }
    before = s.outcome.steps;
    printf("seed %llu: %s\n", (unsigned long long)seed, s.outcome.failure);
    fflush(stdout);
    for (bool any = true; any;) {
        any = cut_services(&s);
        any |= cut_acts(&s);
        any |= cut_faults(&s);
    }
    printf("after %d runs: %llu steps of %llu\n", s.runs, (unsigned long long)s.outcome.steps,
           (unsigned long long)before);
    show_cut(seed, &s.best);
    fflush(stdout);
    (void)run_apart(seed, &s.best, true);
    return 1;
}

/* ---- options ---- */

bool
cut_parse_acts(struct cut *cut, const char *text)
{
    struct str rest = str_of(text), part;
    int64_t n;

    cut->has_acts = true;
    if (strcmp(text, "none") == 0)
        return true;
    while (str_split(&rest, ',', &part)) {
        if (!str_to_i64(part, &n) || n < 0 || n >= ACTS_MAX)
            return false;
        cut->acts[n] = true;
    }
    return true;
}

bool
cut_parse_without(struct cut *cut, const char *text)
{
    struct str rest = str_of(text), part;

    while (str_split(&rest, ',', &part)) {
        int i = 0;
        while (i < FAULT_KINDS && !str_is(part, fault_names[i]))
            i++;
        if (i == FAULT_KINDS)
            return false;
        cut->without |= 1U << i;
    }
    return true;
}
