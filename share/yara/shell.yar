rule shell_reverse_shell {
  meta:
    id = "YARA-010"
    description = "shell command that hands the machine to a remote host"
    severity = "reject"
  strings:
    $a = "bash -i >& /dev/tcp/"
    $b = "sh -i >& /dev/tcp/"
    $c = "0<&196;exec 196<>/dev/tcp/"
    $d = "exec 5<>/dev/tcp/"
    $e = "rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|"
    $f = "rm -f /tmp/f;mkfifo /tmp/f;"
    $g = "nc -e /bin/sh "
    $h = "nc -e /bin/bash "
    $i = "ncat -e /bin/"
    $j = "socat exec:'bash -li'"
    $k = "socat TCP:"
    $l = "EXEC:/bin/sh,pty"
  condition: any of ($a, $b, $c, $d, $e, $f, $g, $h, $i, $j) or ($k and $l)
}
rule shell_download_and_run {
  meta:
    id = "YARA-011"
    description = "shell command that downloads a program and runs it"
    severity = "reject"
  strings:
    $curl1 = "curl -s http"
    $curl2 = "curl -fsSL http"
    $curl3 = "curl -sSL http"
    $curl4 = "curl http"
    $wget1 = "wget -qO- http"
    $wget2 = "wget -O - http"
    $wget3 = "wget http"
    $sh1 = "| sh\x00"
    $sh2 = "| bash"
    $sh3 = "|bash"
    $sh4 = "|sh\n"
    $sh5 = "| sh\n"
    $sh6 = "| sudo bash"
    $sh7 = "| sh\""
    $sh8 = "| sh'"
    $run = "&& chmod +x "
    $run2 = "; chmod +x "
  condition: any of ($curl*, $wget*) and any of ($sh*, $run*)
}
rule shell_persistence {
  meta:
    id = "YARA-012"
    description = "shell command that makes itself survive a restart"
    severity = "reject"
  strings:
    $a = "(crontab -l; echo "
    $b = "crontab -l | { cat; echo"
    $c = ">> ~/.bashrc && "
    $d = ">> /etc/rc.local"
    $e = "/etc/systemd/system/"
    $f = "systemctl enable "
    $g = ">> ~/.ssh/authorized_keys"
    $h = ">> /root/.ssh/authorized_keys"
    $i = "> /etc/cron.d/"
  condition: any of ($a, $b, $c, $d, $g, $h, $i) or ($e and $f)
}
rule shell_destruction {
  meta:
    id = "YARA-013"
    description = "shell command that destroys files or disks"
    severity = "reject"
  strings:
    $a = "rm -rf / --no-preserve-root"
    $b = "rm -rf --no-preserve-root /"
    $c = "dd if=/dev/zero of=/dev/sd"
    $d = "dd if=/dev/urandom of=/dev/sd"
    $e = ":(){ :|:& };:"
    $f = "mkfs.ext4 /dev/sd"
  condition: any of them
}
rule shell_credentials {
  meta:
    id = "YARA-014"
    description = "code that collects credentials"
    severity = "reject"
  strings:
    $a = "cat /etc/shadow"
    $b = "cat ~/.ssh/id_rsa"
    $c = "cat ~/.aws/credentials"
    $d = "/.mozilla/firefox/profiles.ini"
    $e = "Google/Chrome/User Data/Default/Login Data"
    $f = "169.254.169.254/latest/meta-data/iam"
  condition: any of them
}
rule perl_php_ruby_shell {
  meta:
    id = "YARA-015"
    description = "reverse shell in Perl, PHP or Ruby"
    severity = "reject"
  strings:
    $a = "perl -e 'use Socket;"
    $b = "perl -MIO -e '$p=fork;"
    $c = "php -r '$sock=fsockopen("
    $d = "<?php eval($_POST["
    $e = "<?php system($_GET["
    $f = "<?php @eval($_"
    $g = "ruby -rsocket -e"
    $h = "TCPSocket.new("
    $i = "exec sprintf(\"/bin/sh -i"
  condition: any of ($a, $b, $c, $d, $e, $f, $g) or ($h and $i)
}
