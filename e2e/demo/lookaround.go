package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const lookAroundHelp = `
Everything is up. Type the name of a host and a command for it:
  lb1 lvs-ha status           lb2 ipvsadm -Ln             lb1 tail -5 /proc/net/ip_vs_conn
  lb1 ip -br address          client curl -s http://202.99.59.110/
  off lb1, on lb1             switch a director off (a power failure), and on again
End with "quit" or Ctrl-C; everything is removed then.`

// lookAround runs commands that the user enters until input ends.
func lookAround(ctx context.Context, d *demo, path string) {
	fmt.Println(lookAroundHelp)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		fmt.Print("\ndemo> ")
		select {
		case <-ctx.Done():
			return
		case line, open := <-lines:
			if !open {
				fmt.Println("no more input; waiting for Ctrl-C or SIGTERM")
				<-ctx.Done()
				return
			}
			host, command, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch host {
			case "":
			case "quit", "exit":
				return
			default:
				d.command(ctx, host, command, path)
			}
		}
	}
}

// commandLimit ends a command that does not end itself.
const commandLimit = time.Minute

// command runs one line: a host and its command, or a switch.
func (d *demo) command(ctx context.Context, host, command, path string) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	shell := []string{"sh", "-c", "PATH=" + path + ":$PATH; " + command}
	if host == "client" {
		out, err := d.ClientHost.Command(ctx, shell[0], shell[1:]...).CombinedOutput()
		report(out, err)
		return
	}
	for _, director := range d.Directors {
		switch {
		case host == director.Name():
			r, err := director.Exec(ctx, shell...)
			report(append(r.Stdout, r.Stderr...), err)
			return
		case command == director.Name() && host == "off":
			report(nil, director.Kill())
			return
		case command == director.Name() && host == "on":
			report(nil, director.PowerOn(ctx))
			return
		}
	}
	fmt.Println(lookAroundHelp)
}

func report(out []byte, err error) {
	os.Stdout.Write(out)
	if err != nil {
		fmt.Println(err)
	}
}
