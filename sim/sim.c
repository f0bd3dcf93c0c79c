/* SPDX-License-Identifier: MIT */
/* naru-sim - runs seeded worlds: naru-sim [--first SEED] [--seeds N] [--jobs N] [--trace] [--keep-going | --give-up N]
 *                                         [--shrink SEED] [--without FAULT,...] [--services N] [--acts N,...]
 *            naru-sim --crowd [--services N] [--hosts N] [--first SEED] [--seeds N] [--jobs N] [--trace]
 * Each seed is one world (world.h); with --crowd a large one (crowd.h).
 * A seed that breaks a promise is named with how to replay it.
 * With --jobs the seeds are shared among processes: an invariant of the core that asserts ends only
 * the world it was found in.
 * --shrink looks for the shortest story in which the seed breaks the same promise, and tells it: the
 * other three options are what it cuts (shrink.c), and replay what it found. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "crowd.h"
#include "world.h"

#define FAILED_MAX 20 /* then it gives up, unless told otherwise */
#define JOBS_MAX 256
#define CROWD_MAX 100000 /* services or hosts */
#define HANG_S 300 /* a world takes milliseconds, under a sanitizer a second; a large one grows */

struct options {
    uint64_t first, seeds, jobs, failed_max;
    uint64_t shrinks, services_max, hosts;
    bool traces, is_crowd;
    struct crowd_size crowd;
    struct cut cut;
};

/* Shared by the processes. */
struct tally {
    atomic_ullong next, done, failed, steps; /* next: counted from 0 */
};

static uint64_t current_seed;
static char replay[96] = "naru-sim"; /* how, but for the seed */

/* An invariant of the core asserted, or a world hangs: say which it was before the process ends. */
static void
on_end(int signal_number)
{
    char text[256];
    const int len = snprintf( // NOLINT(bugprone-signal-handler): of numbers and short strings, it allocates nothing
        text, sizeof(text), "seed %llu: %s; replay: %s --first %llu --seeds 1 --trace\n",
        (unsigned long long)current_seed, signal_number == SIGABRT ? "aborted" : "it does not end", replay,
        (unsigned long long)current_seed);

    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(3);
    if (signal_number != SIGABRT)
        _exit(3);
    signal(SIGABRT, SIG_DFL);
}

/* Seconds of our own computing, so that a busy machine is no hang; 0: no limit. */
static void
limit_computing(int seconds)
{
    const struct itimerval limit = {.it_value.tv_sec = seconds};

    setitimer(ITIMER_VIRTUAL, &limit, NULL);
}

static bool
run_small(const struct options *o, uint64_t seed, char *failure, size_t size, unsigned long long *steps)
{
    struct world *w = world_new(seed, &o->cut, o->traces);
    const bool is_well = world_run(w);

    text_copy(failure, size, str_of(w->failure));
    *steps = w->steps;
    world_free(w);
    return is_well;
}

static void
run_seed(const struct options *o, struct tally *t, uint64_t seed)
{
    char failure[512];
    unsigned long long steps = 0;
    bool is_well;

    current_seed = seed;
    limit_computing(HANG_S + o->crowd.services);
    is_well = o->is_crowd ? crowd_run(seed, &o->crowd, o->traces, failure, sizeof(failure), &steps)
                          : run_small(o, seed, failure, sizeof(failure), &steps);
    limit_computing(0);
    if (!is_well) {
        atomic_fetch_add(&t->failed, 1);
        printf("seed %llu: %s\n  replay: %s --first %llu --seeds 1 --trace\n", (unsigned long long)seed, failure,
               replay, (unsigned long long)seed);
        fflush(stdout);
    }
    atomic_fetch_add(&t->done, 1);
    atomic_fetch_add(&t->steps, steps);
}

static bool
has_given_up(const struct options *o, struct tally *t)
{
    return atomic_load(&t->failed) >= o->failed_max;
}

static void
work(const struct options *o, struct tally *t)
{
    while (!has_given_up(o, t)) {
        const uint64_t at = atomic_fetch_add(&t->next, 1);
        if (at >= o->seeds)
            return;
        run_seed(o, t, o->first + at);
    }
}

static pid_t
start_worker(const struct options *o, struct tally *t)
{
    const pid_t pid = fork();

    if (pid < 0) {
        perror("naru-sim: fork");
        exit(2);
    }
    if (pid == 0) {
        work(o, t);
        exit(0);
    }
    return pid;
}

static void
show_progress(const struct options *o, struct tally *t)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%llu of %llu seeds, %llu failed ", atomic_load(&t->done),
                (unsigned long long)o->seeds, atomic_load(&t->failed));
}

/* Until no worker is left; one that an assertion ended is a failed seed, and another takes over. */
static void
share_work(const struct options *o, struct tally *t)
{
    uint64_t running = 0;

    while (running < o->jobs) {
        (void)start_worker(o, t);
        running++;
    }
    while (running > 0) {
        int status;
        const pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended == 0) {
            show_progress(o, t);
            clock_sleep_ms(200);
            continue;
        }
        if (ended < 0)
            break;
        if (status == 0) {
            running--;
            continue;
        }
        atomic_fetch_add(&t->failed, 1);
        atomic_fetch_add(&t->done, 1);
        (void)start_worker(o, t);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static bool
parse_number(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool
parse_crowd(struct options *o)
{
    if (o->shrinks > 0 || o->cut.without != 0 || o->cut.has_acts || o->services_max > CROWD_MAX || o->hosts > CROWD_MAX)
        return false;
    o->crowd.services = o->services_max == 0 ? 2000 : (int)o->services_max;
    o->crowd.hosts = o->hosts > 0 ? (int)o->hosts : (o->crowd.services + 1) / 2;
    snprintf(replay, sizeof(replay), "naru-sim --crowd --services %d --hosts %d", o->crowd.services, o->crowd.hosts);
    return true;
}

static bool
parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0)
            o->traces = true;
        else if (strcmp(argv[i], "--crowd") == 0)
            o->is_crowd = true;
        else if (strcmp(argv[i], "--keep-going") == 0)
            o->failed_max = UINT64_MAX;
        else if ((strcmp(argv[i], "--first") == 0 && parse_number(value, &o->first)) ||
                 (strcmp(argv[i], "--seeds") == 0 && parse_number(value, &o->seeds)) ||
                 (strcmp(argv[i], "--give-up") == 0 && parse_number(value, &o->failed_max)) ||
                 (strcmp(argv[i], "--shrink") == 0 && parse_number(value, &o->shrinks)) ||
                 (strcmp(argv[i], "--services") == 0 && parse_number(value, &o->services_max)) ||
                 (strcmp(argv[i], "--hosts") == 0 && parse_number(value, &o->hosts)) ||
                 (strcmp(argv[i], "--without") == 0 && cut_parse_without(&o->cut, value)) ||
                 (strcmp(argv[i], "--acts") == 0 && cut_parse_acts(&o->cut, value)) ||
                 (strcmp(argv[i], "--jobs") == 0 && parse_number(value, &o->jobs)))
            i++;
        else
            return false;
    }
    o->cut.services_max = o->services_max < SERVICES_MAX ? (int)o->services_max : SERVICES_MAX;
    return (o->is_crowd ? parse_crowd(o) : o->hosts == 0) && o->jobs >= 1 && o->jobs <= JOBS_MAX;
}

int
main(int argc, char **argv)
{
    struct options o = {.first = 1, .seeds = 100, .jobs = 1, .failed_max = FAILED_MAX};
    struct tally *t;
    int64_t started_ms, took_ms;

    if (!parse_options(argc, argv, &o)) {
        fprintf(stderr, "usage: naru-sim [--first SEED] [--seeds N] [--jobs N] [--trace] "
                        "[--keep-going | --give-up N]\n"
                        "                [--shrink SEED] [--without FAULT,...] [--services N] "
                        "[--acts N,... | none]\n"
                        "       naru-sim --crowd [--services N] [--hosts N] [--first SEED] [--seeds N] [--jobs N] "
                        "[--trace]\n"
                        "                [--keep-going | --give-up N]\n");
        return 2;
    }
    if (o.shrinks > 0)
        return shrink(o.shrinks, &o.cut);
    t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) {
        perror("naru-sim: mmap");
        return 2;
    }
    signal(SIGABRT, on_end);
    signal(SIGVTALRM, on_end);
    started_ms = clock_monotonic_ms();
    if (o.jobs == 1)
        work(&o, t);
    else
        share_work(&o, t);
    took_ms = clock_monotonic_ms() - started_ms;
    if (has_given_up(&o, t))
        printf("giving up after %llu failed seeds (--keep-going goes on)\n", atomic_load(&t->failed));
    printf("%llu seeds, %llu failed, %llu steps/s\n", atomic_load(&t->done), atomic_load(&t->failed),
           atomic_load(&t->steps) * 1000 / (unsigned long long)(took_ms > 0 ? took_ms : 1));
    return atomic_load(&t->failed) == 0 ? 0 : 1;
}
