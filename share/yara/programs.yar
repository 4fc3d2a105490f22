rule elf_program_text {
  meta:
    id = "YARA-030"
    description = "names that only Linux programs carry"
    severity = "reject"
  strings:
    $a = "/lib64/ld-linux-x86-64.so.2"
    $b = "/lib/ld-linux-aarch64.so.1"
    $c = "/lib/ld-musl-x86_64.so.1"
    $d = "__libc_start_main"
    $e = ".note.gnu.build-id"
    $f = "UPX!\x0d"
    $g = "$Info: This file is packed with the UPX executable packer"
  condition: any of ($a, $b, $c, $g) or ($d and $e) or ($f and $d)
}
rule macho_program_text {
  meta:
    id = "YARA-031"
    description = "names that only macOS programs carry"
    severity = "reject"
  strings:
    $a = "/usr/lib/libSystem.B.dylib"
    $b = "/usr/lib/dyld"
    $c = "__mh_execute_header"
  condition: $a or ($b and $c)
}
rule attack_framework {
  meta:
    id = "YARA-032"
    description = "text of a known attack tool"
    severity = "reject"
  strings:
    $a = "ReflectiveLoader@4"
    $b = "metsrv.x64.dll"
    $c = "meterpreter_reverse_tcp"
    $d = "beacon.x64.dll"
    $e = "sekurlsa::logonpasswords" ascii wide
    $f = "mimikatz_trunk"
    $g = "Invoke-Mimikatz" ascii wide
    $h = "sliver/protobuf/sliverpb"
    $i = "LinPEAS-ng"
  condition: any of them
}
rule crypto_miner {
  meta:
    id = "YARA-033"
    description = "crypto-currency miner"
    severity = "reject"
  strings:
    $a = "stratum+tcp://"
    $b = "stratum+ssl://"
    $c = "xmrig --donate-level"
    $d = "--cpu-max-threads-hint="
    $e = "pool.supportxmr.com"
    $f = "\"donate-level\":"
    $g = "\"randomx\":"
  condition: any of ($a, $b, $c, $d, $e) or ($f and $g)
}
rule eicar {
  meta:
    id = "YARA-034"
    description = "EICAR test file: the agreed harmless sample that every scanner must find"
    severity = "reject"
  strings:
    $a = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
  condition: $a
}
