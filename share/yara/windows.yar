rule powershell_encoded {
  meta:
    id = "YARA-020"
    description = "hidden PowerShell command"
    severity = "reject"
  strings:
    $a = "powershell -enc " nocase ascii wide
    $b = "powershell -encodedcommand " nocase ascii wide
    $c = "powershell.exe -nop -w hidden" nocase ascii wide
    $d = "powershell -nop -w hidden" nocase ascii wide
    $e = "-windowstyle hidden -enc" nocase ascii wide
    $f = "-executionpolicy bypass -" nocase ascii wide
  condition: any of them
}
rule powershell_download {
  meta:
    id = "YARA-021"
    description = "PowerShell command that downloads and runs code"
    severity = "reject"
  strings:
    $a = "IEX(New-Object Net.WebClient)" nocase ascii wide
    $b = "IEX (New-Object Net.WebClient)" nocase ascii wide
    $c = "(New-Object System.Net.WebClient).Download" nocase ascii wide
    $d = "Invoke-Expression (Invoke-WebRequest" nocase ascii wide
    $e = "iwr -useb http" nocase ascii wide
  condition: any of them
}
rule windows_script_host {
  meta:
    id = "YARA-022"
    description = "Windows script that starts programs"
    severity = "reject"
  strings:
    $a = "CreateObject(\"WScript.Shell\")" nocase ascii wide
    $b = "new ActiveXObject(\"WScript.Shell\")" nocase ascii wide
    $c = "cmd.exe /c start /b " nocase ascii wide
    $d = "regsvr32 /s /n /u /i:http" nocase ascii wide
    $e = "mshta http" nocase ascii wide
    $f = "certutil -urlcache -split -f http" nocase ascii wide
    $g = "rundll32.exe javascript:" nocase ascii wide
    $h = "bitsadmin /transfer " nocase ascii wide
  condition: any of them
}
rule windows_persistence {
  meta:
    id = "YARA-023"
    description = "Windows command that makes itself survive a restart"
    severity = "reject"
  strings:
    $a = "schtasks /create /tn" nocase ascii wide
    $b = "reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run" nocase ascii wide
    $c = "reg add HKLM\\Software\\Microsoft\\Windows\\CurrentVersion\\Run" nocase ascii wide
    $d = "vssadmin delete shadows" nocase ascii wide
  condition: any of them
}
rule windows_program_text {
  meta:
    id = "YARA-024"
    description = "text that only Windows programs carry"
    severity = "reject"
  strings:
    $a = "!This program cannot be run in DOS mode."
    $b = "This program must be run under Win32"
    $c = "VirtualAllocEx"
    $d = "WriteProcessMemory"
    $e = "CreateRemoteThread"
  condition: $a or $b or all of ($c, $d, $e)
}
