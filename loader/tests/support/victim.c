/* A process that is hard to patch without being noticed. It checks itself and counts what goes wrong.
 *
 * The arguments say which threads it has, see main. Commands on stdin, one letter a line: r report, s a slow
 * call starts, t it ends, c a coroutine parks in a slow call, d it ends, f a child carries on, e executes the
 * program anew, q quit. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The functions to be patched. Their code is fixed, so that a patch can be made by hand. */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl answer\n.type answer,@function\n"
        "answer: .cfi_startproc\n mov $1,%eax\n ret\n.cfi_endproc\n"
        ".size answer,.-answer\n"
        ".p2align 4\n"
        ".globl twin\n.type twin,@function\n"
        "twin: .cfi_startproc\n mov $1,%eax\n ret\n.cfi_endproc\n"
        ".size twin,.-twin\n"
        ".p2align 4\n"
        ".globl tiny\n.type tiny,@function\n"
        "tiny: .cfi_startproc\n mov $1,%al\n movzbl %al,%eax\n ret\n.cfi_endproc\n"
        ".size tiny,.-tiny\n"
        ".globl tiny_padding\ntiny_padding: .skip 16,0x90\n"
        ".p2align 4\n"
        ".globl slow\n.type slow,@function\n"
        "slow: .cfi_startproc\n sub $8,%rsp\n nop\n.cfi_adjust_cfa_offset 8\n"
        " call slow_body\n add $8,%rsp\n.cfi_adjust_cfa_offset -8\n ret\n.cfi_endproc\n"
        ".size slow,.-slow\n");
int answer(void), twin(void), tiny(void), slow(void);

/* What a patch with unwind tables has one thread call, once: it makes system calls, as allocators do. */
volatile unsigned long registrations;

__attribute__((noinline, used)) void register_tables(void) {
    free(malloc(1 << 20));
    registrations++;
    getppid();
}

const char constant[] = "a constant that a patch may copy from the target";

static atomic_long calls, mixed, wrong, interrupted, ticks, off_stack, corrupted, late, wakeups;
static atomic_int holding;
static int hold_pipe[2], wake_pipe[2], to_cleaner;

/* How slow() waits: itself, in a coroutine that is switched away from, or below a signal handler that runs
 * on an alternate stack. */
enum { IN_CALL, IN_COROUTINE, BELOW_HANDLER };
static int waits = IN_CALL;
static ucontext_t main_context, coroutine_context;

__attribute__((used)) int slow_body(void) {
    char byte;
    if (waits == IN_COROUTINE) {
        swapcontext(&coroutine_context, &main_context);
        return 1;
    }
    if (waits == BELOW_HANDLER) {
        raise(SIGUSR2);
        return 1;
    }
    holding = 1;
    while (read(hold_pipe[0], &byte, 1) != 1) interrupted++;
    holding = 0;
    return 1;
}

static void check_call(void) {
    int one = answer(), two = twin(), three = tiny(), four = answer();
    calls++;
    if ((one != 1 && one != 2) || (two != 1 && two != 2) || (three != 1 && three != 2)) wrong++;
    if (one == four && (two != one || three != one)) mixed++;
}

static void *busy(void *unused) {
    (void)unused;
    for (;;) check_call();
}

static void *paced(void *unused) {
    (void)unused;
    for (;;) {
        check_call();
        struct timespec before, after, pause = {0, 2000000};
        clock_gettime(CLOCK_MONOTONIC, &before);
        if (nanosleep(&pause, 0)) interrupted++;
        clock_gettime(CLOCK_MONOTONIC, &after);
        if ((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec < 2000000) late++;
    }
}

/* System V semaphores outlive their process. A child removes them when this one has ended, however that came. */
static void start_cleaner(void) {
    int pipes[2], sets[64], count = 0;
    if (to_cleaner) return;
    if (pipe(pipes)) abort();
    to_cleaner = pipes[1];
    if (fork()) {
        close(pipes[0]);
        return;
    }
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    dup2(pipes[0], 0);
    close_range(1, ~0U, 0);
    while (count < 64 && read(0, &sets[count], sizeof sets[0]) == sizeof sets[0]) count++;
    while (count > 0) semctl(sets[--count], 0, IPC_RMID);
    _exit(0);
}

/* Blocks for good in one of the calls that a stop may disturb. None of them may ever return. */
static void *blocked(void *kind) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, 0);
    struct epoll_event event;
    int pipes[2];
    if (pipe(pipes)) abort();
    switch ((long)kind % 8) {
    case 0: {
        int epoll = epoll_create1(0);
        epoll_wait(epoll, &event, 1, -1);
        break;
    }
    case 1: {
        int set = semget(IPC_PRIVATE, 1, 0600);
        if (write(to_cleaner, &set, sizeof set) != sizeof set) abort();
        struct sembuf wait = {0, -1, 0};
        union { int value; } arg = {0};
        semctl(set, 0, SETVAL, arg);
        semop(set, &wait, 1);
        break;
    }
    case 2: {
        sigset_t none;
        sigemptyset(&none);
        sigaddset(&none, SIGRTMIN + 9);
        sigtimedwait(&none, 0, 0);
        break;
    }
    case 3: {
        int epoll = epoll_create1(0);
        sigset_t none;
        sigemptyset(&none);
        epoll_pwait(epoll, &event, 1, -1, &none);
        break;
    }
    case 4: {
        char byte;
        (void)!read(pipes[0], &byte, 1);
        break;
    }
    case 5: {
        struct pollfd poller = {pipes[0], POLLIN, 0};
        poll(&poller, 1, 100000000);
        break;
    }
    case 6: {
        static int word;
        syscall(SYS_futex, &word, 0, 0, 0, 0, 0);
        break;
    }
    default: {
        struct timespec long_time = {100000, 0};
        nanosleep(&long_time, 0);
    }
    }
    interrupted++;
    for (;;) pause();
}

/* Waits in the calls that threads of servers wait in, and carries on whatever they return. */
static void *idle(void *kind) {
    int pipes[2], epoll = epoll_create1(0), word = 0;
    if (pipe(pipes)) abort();
    for (;;) {
        char byte;
        struct epoll_event event;
        struct pollfd poller = {pipes[0], POLLIN, 0};
        switch ((long)kind % 4) {
        case 0: syscall(SYS_futex, &word, 0, 0, 0, 0, 0); break;
        case 1: (void)!read(pipes[0], &byte, 1); break;
        case 2: epoll_wait(epoll, &event, 1, -1); break;
        default: poll(&poller, 1, 1000000);
        }
    }
}

/* Signals on an alternate stack, all the time. */
static __thread char *alternate;
static void on_tick(int signal) {
    (void)signal;
    char here;
    ticks++;
    if (&here < alternate || &here >= alternate + 65536) off_stack++;
    check_call();
}

static void *ticking(void *unused) {
    (void)unused;
    alternate = malloc(65536);
    stack_t stack = {.ss_sp = alternate, .ss_size = 65536}, now;
    sigaltstack(&stack, 0);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event._sigev_un._tid = gettid();
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    struct itimerspec period = {{0, 1000000}, {0, 1000000}};
    timer_settime(timer, 0, &period, 0);
    for (;;) {
        for (volatile int i = 0; i < 20000; i++);
        sigaltstack(0, &now);
        if (now.ss_sp != alternate || now.ss_size != 65536 || now.ss_flags) off_stack++;
    }
}

/* Keeps patterns in vector registers. */
static void *vectors(void *unused) {
    (void)unused;
    uint64_t pattern[8], found[8];
    for (int i = 0; i < 8; i++) pattern[i] = 0x0123456789abcdefUL * (i + 1);
    for (;;) {
        uint64_t flags;
        __asm__ volatile("movdqu (%1),%%xmm3\n movdqu 16(%1),%%xmm12\n"
                         "mov $200000,%%ecx\n stc\n1: lea -1(%%rcx),%%rcx\n jrcxz 2f\n jmp 1b\n2: pushfq\n pop %0\n"
                         "movdqu %%xmm3,(%2)\n movdqu %%xmm12,16(%2)\n"
                         : "=&r"(flags) : "r"(pattern), "r"(found) : "rcx", "xmm3", "xmm12", "memory");
        if (memcmp(pattern, found, 32) || !(flags & 1)) corrupted++;
        if (__builtin_cpu_supports("avx2")) {
            __asm__ volatile("vmovdqu (%0),%%ymm7\n mov $200000,%%ecx\n1: dec %%ecx\n jnz 1b\n vmovdqu %%ymm7,(%1)\n vzeroupper\n"
                             : : "r"(pattern), "r"(found) : "rcx", "xmm7", "memory");
            if (memcmp(pattern, found, 32)) corrupted++;
        }
    }
}

static void on_hold(int signal) {
    (void)signal;
    char byte;
    holding = 1;
    while (read(hold_pipe[0], &byte, 1) != 1) interrupted++;
    holding = 0;
}

static void *inside(void *unused) {
    (void)unused;
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, 0);
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &all, 0);
    for (;;) {
        char byte;
        while (read(wake_pipe[0], &byte, 1) != 1) interrupted++;
        int result = slow();
        if (result != 1 && result != 2) wrong++;
        wakeups++;
    }
}

/* A coroutine on a stack of its own, with a guard page below. */
static void coroutine_body(void) {
    slow();
    swapcontext(&coroutine_context, &main_context);
}

static void start_coroutine(void) {
    char *stack = mmap(0, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, 4096, PROT_NONE);
    getcontext(&coroutine_context);
    coroutine_context.uc_stack.ss_sp = stack + 4096;
    coroutine_context.uc_stack.ss_size = 65536;
    makecontext(&coroutine_context, coroutine_body, 0);
    swapcontext(&main_context, &coroutine_context);
}

static void finish_coroutine(void) {
    swapcontext(&main_context, &coroutine_context);
    munmap((char *)coroutine_context.uc_stack.ss_sp - 4096, 65536 + 4096);
}

static void filter_system_calls(void) {
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) abort();
}

/* Leaves no free page within 2 GiB of the code. */
static void crowd(void) {
    uintptr_t here = (uintptr_t)answer & -4096UL;
    for (uintptr_t step = 1UL << 30; step >= 4096; step >>= 1)
        for (uintptr_t at = here - (1UL << 31) - (1 << 20); at < here + (1UL << 31) + (1 << 20); at += step) {
            uintptr_t start = at & -step;
            mmap((void *)start, step, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
            if (step <= 65536 && start > here + (1 << 28)) break;
        }
}

static void report(void) {
    printf("answer=%d twin=%d tiny=%d calls=%ld mixed=%ld wrong=%ld interrupted=%ld ticks=%ld off_stack=%ld "
           "corrupted=%ld late=%ld wakeups=%ld holding=%d\n",
           answer(), twin(), tiny(), calls, mixed, wrong, interrupted, ticks, off_stack, corrupted, late,
           wakeups, holding);
    fflush(stdout);
}

static int poll_first, masked_first;
static void *start_of_text(void) { return (void *)((uintptr_t)answer & -4096UL); }

static void on_plain(int signal) { (void)signal; ticks++; }

/* Waits with a signal mask that holds only for the call: it returns when and only when a handler ran. */
static void masked_waits(char *line, int size) {
    sigset_t signals, open_mask, now;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, &open_mask);
    struct sigaction action = {.sa_handler = on_plain};
    sigaction(SIGUSR1, &action, 0);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    struct itimerspec period = {{0, 3000000}, {0, 3000000}};
    timer_settime(timer, 0, &period, 0);
    int epoll = epoll_create1(0);
    struct epoll_event input = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
    for (long round = 0;; round++) {
        struct pollfd poller = {0, POLLIN, 0};
        long before = ticks;
        int ready = round % 2 ? ppoll(&poller, 1, 0, &open_mask) : epoll_pwait(epoll, &input, 1, -1, &open_mask);
        long ran = ticks - before;
        if (ready < 0 && ran == 0) interrupted++;
        if (ran > 1 || (ready == 0)) late++;
        sigprocmask(SIG_BLOCK, 0, &now);
        if (!sigismember(&now, SIGUSR1)) corrupted++;
        if (ready > 0) {
            if (!fgets(line, size, stdin) || *line == 'q') exit(0);
            if (*line == 'r') report();
        }
    }
}

/* Waits uninterruptibly for a child that takes its time to execute a program. */
static void *waits_for_child(void *unused) {
    if (vfork() == 0) {
        struct timespec pause = {0, 700000000};
        nanosleep(&pause, 0);
        _exit(0);
    }
    return unused;
}

/* The same, but the child has a memory of its own, and ends when this process has ended. */
static void *waits_for_copy(void *unused) {
    int pipes[2];
    char byte;
    if (pipe(pipes)) abort();
    if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
        dup2(pipes[0], 0);
        close_range(1, ~0U, 0);
        (void)!read(0, &byte, 1);
        _exit(0);
    }
    return unused;
}

static int share_memory(void *unused) {
    (void)unused;
    for (;;) pause();
}

static void start(void *(*body)(void *), long argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    if (pthread_create(&thread, &attributes, body, (void *)argument)) abort();
}

/* Threads that come and go. */
static void *short_lived(void *unused) {
    check_call();
    return unused;
}
static void *breeder(void *unused) {
    for (;;) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, short_lived, unused);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    }
}

/* The program's file in memory, as for reading its symbols. */
static void read_own_file(void) {
    int file = open("/proc/self/exe", O_RDONLY);
    off_t size = lseek(file, 0, SEEK_END);
    if (mmap(0, size, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) abort();
    close(file);
}

int main(int count, char **arguments) {
    if (pipe(hold_pipe) || pipe(wake_pipe)) abort();
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    action.sa_handler = on_hold;
    sigaction(SIGUSR2, &action, 0);
    for (int i = 1; i < count; i++) {
        const char *name = arguments[i];
        long number = i + 1 < count ? atol(arguments[i + 1]) : 0;
        if (!strcmp(name, "busy")) for (long n = 0; n < number; n++) start(busy, 0);
        if (!strcmp(name, "paced")) for (long n = 0; n < number; n++) start(paced, 0);
        if (!strcmp(name, "blocked") && number > 1) start_cleaner();
        if (!strcmp(name, "blocked")) for (long n = 0; n < number; n++) start(blocked, n);
        if (!strcmp(name, "idle")) for (long n = 0; n < number; n++) start(idle, n);
        if (!strcmp(name, "timers")) start(ticking, 0);
        if (!strcmp(name, "vectors")) start(vectors, 0);
        if (!strcmp(name, "inside")) start(inside, 0);
        if (!strcmp(name, "poll")) poll_first = 200;
        if (!strcmp(name, "asleep")) poll_first = 100000000;
        if (!strcmp(name, "writable")) mprotect(start_of_text(), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
        if (!strcmp(name, "reader")) read_own_file();
        if (!strcmp(name, "stuck")) start(waits_for_copy, 0);
        if (!strcmp(name, "masked")) masked_first = 1;
        if (!strcmp(name, "vfork")) start(waits_for_child, 0);
        if (!strcmp(name, "breeder")) start(breeder, 0);
        if (!strcmp(name, "filter")) filter_system_calls();
        if (!strcmp(name, "crowd")) crowd();
        if (!strcmp(name, "in-coroutine")) waits = IN_COROUTINE;
        if (!strcmp(name, "below-handler")) waits = BELOW_HANDLER;
        if (!strcmp(name, "share")) clone(share_memory, (char *)malloc(65536) + 65536, CLONE_VM | SIGCHLD, 0);
        if (!strcmp(name, "kvm")) {
            int kvm = open("/dev/kvm", O_RDWR);
            if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0) puts("no KVM");
        }
    }
    puts("ready");
    fflush(stdout);
    char line[64];
    setvbuf(stdin, 0, _IONBF, 0);
    if (masked_first) masked_waits(line, sizeof line);
    while (poll_first) {
        /* Nothing but a call that the kernel continues from its restart block. */
        struct pollfd poller = {0, POLLIN, 0};
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        int ready = poll(&poller, 1, poll_first);
        clock_gettime(CLOCK_MONOTONIC, &after);
        long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
        if (ready < 0) interrupted++;
        if (ready == 0 && (ms < 199 || ms > 290)) late++;
        if (ready > 0) { if (!fgets(line, sizeof line, stdin)) return 0; if (*line == 'r') report(); if (*line == 'q') return 0; }
    }
    while (fgets(line, sizeof line, stdin)) {
        if (*line == 'r') report();
        if (*line == 's') { (void)!write(wake_pipe[1], "s", 1); while (!holding) usleep(100); puts("in"); }
        if (*line == 't') { long before = wakeups; (void)!write(hold_pipe[1], "t", 1); while (wakeups == before) usleep(100); puts("out"); }
        if (*line == 'c') { start_coroutine(); puts("parked"); }
        if (*line == 'd') { finish_coroutine(); puts("done"); }
        if (*line == 'f') {
            pid_t child = fork();
            if (child) { waitpid(child, 0, 0); return 0; }
            printf("%d\n", getpid());
        }
        if (*line == 'e') execl("/proc/self/exe", arguments[0], (char *)0);
        if (*line == 'q') break;
        fflush(stdout);
    }
    return 0;
}
