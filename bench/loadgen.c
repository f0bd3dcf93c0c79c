/* SPDX-License-Identifier: MIT */
/* loadgen - steady load on a URL, every failure counted (load.h says what one is).
 *   loadgen --url http://127.0.0.1:8080/ [--seconds N] [--connections N] [--fresh N] [--slow N]
 * [--slow-path P]
 *           [--rate N] [--timeout-ms N] [--verbose]
 * Ends after --seconds or at SIGINT or SIGTERM; its last line is `requests=N failed=N ...`.  Exit
 * status 1 if a request failed, 2 for wrong arguments. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "load.h"

static volatile sig_atomic_t is_over;

static void
on_signal(int number)
{
    (void)number;
    is_over = 1;
}

struct options {
    struct load_config load;
    int64_t seconds;
    bool is_verbose, has_url;
};

static bool
take_number(const char *name, const char *value, int64_t max, int64_t *out, struct err *err)
{
    if (str_to_i64(str_of(value), out) && *out >= 0 && *out <= max)
        return true;
    return err_set(err, ERR_USAGE, "%s needs a number up to %lld, not '%s'", name, (long long)max,
                   value);
}

static bool
take_option(struct options *o, const char *name, const char *value, struct err *err)
{
    const struct {
        const char *name;
        int64_t max;
        int *target;
    } numbers[] = {
        {"--connections", LOAD_WORKERS_MAX, &o->load.keep_alive},
        {"--fresh", LOAD_WORKERS_MAX, &o->load.fresh},
        {"--slow", LOAD_WORKERS_MAX, &o->load.slow},
        {"--rate", 1000000, &o->load.rate},
        {"--timeout-ms", 600000, &o->load.timeout_ms},
    };
    int64_t number;

    if (strcmp(name, "--url") == 0) {
        o->has_url = true;
        return load_url_parse(value, &o->load, err);
    }
    if (strcmp(name, "--slow-path") == 0)
        return text_copy(o->load.slow_path, sizeof(o->load.slow_path), str_of(value)) ||
               err_set(err, ERR_USAGE, "--slow-path is too long");
    if (strcmp(name, "--seconds") == 0)
        return take_number(name, value, 1000000, &o->seconds, err);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        if (!take_number(name, value, numbers[i].max, &number, err))
            return false;
        *numbers[i].target = (int)number;
        return true;
    }
    return err_set(err, ERR_USAGE, "unknown option '%s'", name);
}

static bool
read_options(struct options *o, int argc, char **argv, struct err *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            o->is_verbose = true;
        } else if (i + 1 == argc) {
            return err_set(err, ERR_USAGE, "'%s' is unknown or needs a value", argv[i]);
        } else {
            if (!take_option(o, argv[i], argv[i + 1], err))
                return false;
            i++;
        }
    }
    if (!o->has_url)
        return err_set(err, ERR_USAGE, "say --url http://127.0.0.1:8080/");
    if (o->load.keep_alive + o->load.fresh + o->load.slow < 1 ||
        o->load.keep_alive + o->load.fresh + o->load.slow > LOAD_WORKERS_MAX)
        return err_set(err, ERR_USAGE, "between 1 and %d workers in all", LOAD_WORKERS_MAX);
    return true;
}

int
main(int argc, char **argv)
{
    struct options o = {
        .seconds = 10,
        .load = {.keep_alive = 8, .rate = 3000, .timeout_ms = 10000, .slow_path = "/slow?ms=1000"}};
    struct load_report report;
    struct load *load;
    struct err err = {0};
    int64_t end_ms, next_ms;

    if (!read_options(&o, argc, argv, &err)) {
        fprintf(stderr, "Usage: %s\n", err.message);
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    load = load_start(&o.load);
    end_ms = clock_monotonic_ms() + o.seconds * 1000;
    next_ms = clock_monotonic_ms() + 1000;
    while (!is_over && clock_monotonic_ms() < end_ms) {
        clock_sleep_ms(20);
        if (o.is_verbose && clock_monotonic_ms() >= next_ms) {
            next_ms += 1000;
            load_look(load, &report);
            load_print(&report, stdout);
            putchar('\n');
            fflush(stdout);
        }
    }
    load_stop(load, &report);
    for (int i = 0; i < report.sample_count; i++)
        printf("failure at %.3f s: %s\n", (double)report.samples[i].at_ms / 1000,
               report.samples[i].text);
    load_print(&report, stdout);
    putchar('\n');
    return report.failed > 0;
}
