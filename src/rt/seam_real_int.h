/* seam_real_int.h - the tables of the real seams, one per file. Internal to rt/. */
#ifndef RT_SEAM_REAL_INT_H
#define RT_SEAM_REAL_INT_H

#include "rt/seam.h"

extern const struct net_ops net_real;
extern const struct disk_ops disk_real;

#endif
