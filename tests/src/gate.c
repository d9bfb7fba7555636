/* Holds every fsync and fdatasync of the process that it is preloaded into, as long as the file named by
   WHIMBREL_TEST_FSYNC_GATE exists. While one is held, a file of that name with ".held" appended exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void pass_gate(void) {
  const char *gate = getenv("WHIMBREL_TEST_FSYNC_GATE");
  char held[4096];
  if (!gate || access(gate, F_OK) != 0) return;
  snprintf(held, sizeof held, "%s.held", gate);
  int mark = open(held, O_CREAT | O_WRONLY, 0600);
  if (mark >= 0) close(mark);
  while (access(gate, F_OK) == 0) usleep(1000);
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  pass_gate();
  return real(fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  pass_gate();
  return real(fd);
}
