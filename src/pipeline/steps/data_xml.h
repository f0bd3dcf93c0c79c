/* SPDX-License-Identifier: MIT */
/* data_xml.h - XML as a tree, in an arena; the only user of expat.  Names lose their prefix;
 * an element without children has its text, CDATA with it; entities of a DTD are refused.
 * Limits: XML_DEPTH_MAX deep, XML_ELEMENTS_MAX elements. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define XML_DEPTH_MAX 100
#define XML_ELEMENTS_MAX 1000000

struct xml_attribute {
    struct str name, value;
    struct xml_attribute *next;
};

struct xml {
    struct str name, text;
    struct xml_attribute *attributes;
    struct xml *first, *last, *next, *parent;
};

/* The root; NULL with `err`. */
struct xml *data_xml_parse(struct arena *a, struct str text, struct err *err) MUST_CHECK;
const struct xml *xml_child(const struct xml *x, const char *name); /* the first; NULL if none */
struct str xml_attribute(const struct xml *x, const char *name);    /* empty if none */
