/* SPDX-License-Identifier: MIT */
/* step_variables.h - what every step finds in its environment beside its keys: where naru is, and as whose account
 * and region it is spoken to.  The same for builds of the server, for `naru build`, and for what `naru up` runs. */
#pragma once

struct step_place {
    const char *endpoint_url, *account;
    const char *region;      /* that commands work in */
    const char *home_region; /* the server's own, of which names of images are; NULL: not known */
    const char *data_dir;    /* NULL: naru's commands find it by themselves */
};

typedef void step_variable_put(void *arg, const char *name, const char *value);
void step_variables_each(const struct step_place *at, step_variable_put *put, void *arg);
